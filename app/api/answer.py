"""I/O: around every call: its id, its log line, its metrics, and errors as problem documents."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
import structlog
from aiohttp import hdrs, web
from aiohttp.http_exceptions import BadHttpMessage

from app.api.context import API, RATE_HEADERS, TRACE_ID
from app.api.guard import read_trace_id
from app.api.problem import Problem, not_found, render_problem, unavailable
from app.log import bound
from app.store.db import NotFound, Unavailable

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_LOG: Final = structlog.get_logger()
_QUIET_ROUTES: Final = frozenset({"/healthz", "/readyz"})


def json_answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with JSON."""
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type="application/json", charset="utf-8", headers=headers
    )


@web.middleware
async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Handle a call from its id to its log line."""
    http = request
    trace_id = read_trace_id(http)
    http[TRACE_ID] = trace_id
    began = time.monotonic()
    with bound(trace_id=trace_id):
        response = await _handle(http, handler)
        if not response.prepared:
            response.headers.setdefault("Cache-Control", "no-store")
        _tell(http, response.status, time.monotonic() - began)
    return response


async def finish(http: web.Request, response: web.StreamResponse) -> None:
    """Set what every answer bears, before it goes out; aiohttp would name itself with its version."""
    response.headers.pop("Server", None)
    response.headers["X-Request-ID"] = http.get(TRACE_ID) or read_trace_id(http)
    for name, value in http.get(RATE_HEADERS, {}).items():
        response.headers[name] = value
    response.headers.setdefault("X-Content-Type-Options", "nosniff")


async def _handle(http: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(http)
    except Problem as problem:
        return _refuse(http, problem)
    except NotFound:
        return _refuse(http, not_found())
    except Unavailable as error:
        _LOG.warning("call.unavailable", error=str(error))
        return _refuse(http, unavailable())
    except web.HTTPException as error:
        return _refuse(http, _translate(http, error))
    except (web.RequestPayloadError, BadHttpMessage):
        return _refuse(http, Problem(400, "body", "The body cannot be read: it is cut off, or not encoded as it says."))


def _translate(http: web.Request, error: web.HTTPException) -> Problem:
    """Return aiohttp's own refusals, of unknown paths and methods mostly, in our shape."""
    if error.status == 404:
        return Problem(404, "no-such-path", f"There is nothing at {_path(http)[:200]}. GET /docs tells what there is.")
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        words = f"{http.method} is not for this path; it takes {allowed}."
        return Problem(405, "method", words, headers={"Allow": allowed})
    return Problem(error.status, "refused", f"{error.reason}.")


def _refuse(http: web.Request, problem: Problem) -> web.Response:
    document = render_problem(problem, instance=_path(http), trace_id=http[TRACE_ID])
    return web.Response(
        body=msgspec.json.encode(document),
        status=problem.status,
        content_type="application/problem+json",
        headers={**problem.headers, "Connection": "close"} if problem.status == 413 else problem.headers,
    )


def _path(http: web.Request) -> str:
    """Return the path as text; bytes that are none arrive as surrogates, which no answer can hold."""
    return http.path.encode(errors="replace").decode()


def _tell(http: web.Request, status: int, seconds: float) -> None:
    resource = http.match_info.route.resource
    route = resource.canonical if resource is not None else "none"
    # Any word may come as a method, and each would be a series of its own.
    method = http.method if http.method in hdrs.METH_ALL else "other"
    http.app[API].metrics.calls.labels(method, route, str(status)).inc()
    if route not in _QUIET_ROUTES:
        fields: dict[str, Any] = {"method": method, "route": route, "status": status}
        _LOG.info("call.answered", **fields, elapsed_ms=round(seconds * 1000))
