"""I/O: what the handlers of one API process share; made by the composition root and passed down."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from aiohttp import web

from app.api.rates import Rates
from app.api.summaries import Summaries
from app.api.watch import Watch
from app.enqueue import Queue
from app.metrics import Metrics
from app.model import Caller
from app.report.payload import STATUS_PATH
from app.reports import ReportStore
from app.seal import Keyring
from app.settings import Settings
from app.store.requests import RequestRecord


@dataclass(frozen=True, slots=True)
class BodyPace:
    """How slowly a body may come. `pause_seconds`: the longest silence in its middle; `whole_seconds`: all of it."""

    pause_seconds: float = 20.0
    whole_seconds: float = 300.0


@dataclass(slots=True)
class Api:
    """One API process. `is_leaving`: SIGTERM came; nobody shall send new calls.

    `single_spare_seconds`: how long the call that checks one account waits on top of a check's own deadline: for its
    turn, and for one more try of what passes by itself. `storing_many`: held while an order of many rows is stored.
    """

    settings: Settings
    db: Any
    queue: Queue
    reports: ReportStore
    keyring: Keyring
    rates: Rates
    watch: Watch
    metrics: Metrics = field(default_factory=Metrics)
    summaries: Summaries = field(default_factory=Summaries)
    body_pace: BodyPace = BodyPace()
    single_spare_seconds: float = 30.0
    storing_many: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))
    is_leaving: bool = False


API: Final = web.AppKey("api", Api)
CALLER: Final = web.RequestKey("caller", Caller)
TRACE_ID: Final = web.RequestKey("trace_id", str)
ASKED_FOR: Final = web.RequestKey("asked_for", RequestRecord)
"""The request that the path of a GET names, as the guard found it; the handler takes it, and asks anew after that."""
RATE_HEADERS: Final = web.RequestKey("rate_headers", dict[str, str])


def locate_status(http: web.Request, request_id: UUID) -> dict[str, str]:
    """Return the header that tells where a request's status is: a path of this API, as a relative reference."""
    return {"Location": f"{urlsplit(base_url(http)).path}{STATUS_PATH}{request_id}"}


def base_url(http: web.Request) -> str:
    """Return how users reach this API: as set, else as this call did."""
    return http.app[API].settings.public_url or f"{http.scheme}://{http.host}"
