"""I/O: what the handlers of one API process share; made by the composition root and passed down."""

from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from app.api.rates import Rates
from app.api.summaries import Summaries
from app.api.watch import Watch
from app.enqueue import Queue
from app.metrics import Metrics
from app.model import Caller
from app.reports import ReportStore
from app.seal import Keyring
from app.settings import Settings


@dataclass(slots=True)
class Api:
    """One API process. `is_leaving`: SIGTERM came; nobody shall send new calls."""

    settings: Settings
    db: Any
    queue: Queue
    reports: ReportStore
    keyring: Keyring
    rates: Rates
    watch: Watch
    metrics: Metrics = field(default_factory=Metrics)
    summaries: Summaries = field(default_factory=Summaries)
    is_leaving: bool = False


API: Final = web.AppKey("api", Api)
CALLER: Final = web.RequestKey("caller", Caller)
TRACE_ID: Final = web.RequestKey("trace_id", str)
RATE_HEADERS: Final = web.RequestKey("rate_headers", dict[str, str])


def base_url(http: web.Request) -> str:
    """Return how users reach this API: as set, else as this call did."""
    return http.app[API].settings.public_url or f"{http.scheme}://{http.host}"
