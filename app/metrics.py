"""I/O (counts, and the port they are read from): what the service tells Prometheus.

One `Metrics` for each process, made by its composition root and passed down; /metrics listens on an address of its
own, never on the public one.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from app.checked import SideResult

STAGE_SECONDS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

_LOG: Final = structlog.get_logger()


class Metrics:
    """The counters of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._checks = Counter(
            "bulk_connect_checks", "Sides checked.", ("protocol", "code", "stage", "provider"), registry=self.registry
        )
        self._stages = Histogram(
            "bulk_connect_stage_seconds",
            "Time spent in each stage of a check.",
            ("protocol", "stage"),
            buckets=STAGE_SECONDS,
            registry=self.registry,
        )
        # Looked up for every check; the library takes a lock and sorts out names each time.
        self._count_of, self._seconds_of = functools.cache(self._checks.labels), functools.cache(self._stages.labels)
        self.calls = Counter(
            "bulk_connect_api_calls", "Calls answered.", ("method", "route", "status"), registry=self.registry
        )
        self.rows_accepted = Counter("bulk_connect_rows_accepted", "Rows taken in.", registry=self.registry)
        self._in_flight = Gauge("bulk_connect_checks_in_flight", "Checks running now.", registry=self.registry)
        self._held = Gauge("bulk_connect_records_held", "Results that wait to be written.", registry=self.registry)
        self._hosts = Gauge(
            "bulk_connect_hosts", "Mail hosts by how they are paced.", ("protocol", "state"), registry=self.registry
        )

    def watch_work(self, count_checks: Callable[[], int], count_records: Callable[[], int]) -> None:
        """Ask for what a worker has in hand whenever somebody reads: checks running, results not yet written."""
        self._in_flight.set_function(count_checks)
        self._held.set_function(count_records)

    def count_check(self, side: SideResult, provider: str) -> None:
        """Count one side that was checked."""
        stage = side.stage.value if side.stage is not None else ""
        self._count_of(side.protocol.value, side.code, stage, provider or "other").inc()
        for name, milliseconds in side.timings.items():
            self._seconds_of(side.protocol.value, name).observe(milliseconds / 1000)

    def count_hosts(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Note how many hosts are in which state of pace: protocol and state to number, those without left out."""
        self._hosts.clear()
        for names, count in counts.items():
            self._hosts.labels(*names).set(count)

    def render(self) -> bytes:
        """Write all of it as Prometheus reads it."""
        return generate_latest(self.registry)


async def serve_metrics(
    metrics: Metrics,
    address: str,
    describe_pace: Callable[[], Sequence[Mapping[str, object]]] = tuple,
    describe_work: Callable[[], Mapping[str, object]] = dict,
) -> web.AppRunner | None:
    """Listen for Prometheus. Where another process of ours has the port already, this one goes without.

    /debug/pace tells what this process knows of each mail host's limits, /debug/work which requests it works on, and
    who gets the next slots.
    """

    async def answer(_http: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def answer_pace(_http: web.Request) -> web.Response:
        return web.json_response({"hosts": list(describe_pace())})

    async def answer_work(_http: web.Request) -> web.Response:
        return web.json_response(dict(describe_work()))

    app = web.Application()
    app.router.add_get("/metrics", answer)
    app.router.add_get("/debug/work", answer_work)
    app.router.add_get("/debug/pace", answer_pace)
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=75)
    await runner.setup()
    host, _, port = address.rpartition(":")
    try:
        await web.TCPSite(runner, host.strip("[]"), int(port)).start()
    except OSError as error:
        await runner.cleanup()
        _LOG.warning("metrics.port_taken", metrics_address=address, error=error.strerror)
        return None
    return runner
