"""I/O: the composition root of an API process: builds what handlers share, listens, and lets callers finish."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from typing import Final

import structlog
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage

from app.api.answer import Handler, answer, finish
from app.api.context import API, Api
from app.api.problem import Problem
from app.api.rates import Rates
from app.api.routes import add_routes
from app.api.watch import Watch
from app.enqueue import open_queue
from app.intake.row import warm_up
from app.metrics import serve_metrics
from app.reports import open_report_store
from app.seal import Keyring
from app.settings import Settings
from app.store.db import NotFound, Unavailable, open_pool

READY_SECONDS: Final = 0.5
"""After SIGTERM: for load balancers to see that we are not ready any more."""
FINISH_SECONDS: Final = 7.0
"""For calls in flight to end; aiohttp may take this twice."""
KEEPALIVE_SECONDS: Final = 75.0

_LOG: Final = structlog.get_logger()


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then finish what is in flight and return."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with opened(settings) as api:
        metrics = await serve_metrics(api.metrics, settings.metrics_address)
        runner = web.AppRunner(
            make_app(api), access_log=None, keepalive_timeout=KEEPALIVE_SECONDS, shutdown_timeout=FINISH_SECONDS
        )
        await runner.setup()
        await web.TCPSite(runner, settings.host, settings.port, backlog=1024).start()
        _LOG.info("api.started", listen_address=f"{settings.host}:{settings.port}")
        await stop.wait()
        api.is_leaving = True
        api.watch.close()
        await asyncio.sleep(READY_SECONDS)
        await runner.cleanup()
        if metrics is not None:
            await metrics.cleanup()
    _LOG.info("api.stopped")


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Api]:
    """Open what handlers share, and close it."""
    keyring = Keyring.from_texts(settings.secret_keys)
    reports = open_report_store(settings, keyring.link_key())
    await reports.try_out(is_writer=False)
    db = await open_pool(settings.database_url)
    queue = open_queue(settings.redis_url)
    rates = Rates(queue, settings.rate_limit)
    watch = Watch(db)
    watching = asyncio.create_task(watch.run())
    warm_up()
    try:
        yield Api(
            settings,
            db,
            queue,
            reports,
            keyring,
            rates,
            watch,
        )
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await rates.aclose()
        await queue.aclose()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(db.close(), 2)


_TOLD: Final = (
    *(Problem, NotFound, Unavailable, web.HTTPException),
    *(web.RequestPayloadError, BadHttpMessage, ConnectionError),
)
"""What `answer` has words for, or what is the caller's going away."""


@web.middleware
async def contain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn a defect of ours into a problem that tells nothing of its insides."""
    try:
        return await handler(request)
    except _TOLD:
        raise
    except Exception:  # noqa: BLE001 - a composition root: no defect may end in a bare connection
        _LOG.exception("call.failed")
        words = "Something went wrong on our side. It is logged under this requestTraceId."
        raise Problem(500, "internal", words) from None


def make_app(api: Api) -> web.Application:
    """Return the application with every route."""
    # Compressed bodies are ours to inflate (app/api/inflate.py).
    app = web.Application(middlewares=[answer, contain], handler_args={"auto_decompress": False})
    app[API] = api
    app.on_response_prepare.append(finish)
    add_routes(app)
    return app
