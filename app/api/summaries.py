"""I/O: the summary of a request's failures, not worked out more often than is worth its cost.

While rows still end, a summary may be some seconds old: it is grouped over all failed rows, of which there may be
thousands, and polling scripts ask every second. A row that failed stays as it is, so it is as new as their count.
"""

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from app.model import Encryption, Protocol
from app.report.advice import Situation
from app.report.summary import CODES_BY_DOMAIN, LEAST_ROWS_OF_DOMAIN, Cause, render_summary
from app.store.requests import RequestRecord
from app.store.rows import list_error_groups
from app.verdict import describe

Json = dict[str, object]

MOST_KEPT: Final = 200
LEAST_SECONDS: Final = 1.0
SHARE: Final = 20
"""A summary is kept for this many times what it took."""


@dataclass(slots=True)
class _Kept:
    failed: int
    until: float
    groups: list[Json]


@dataclass(slots=True)
class Summaries:
    """The summaries that one process remembers."""

    _kept: OrderedDict[UUID, _Kept] = field(default_factory=OrderedDict)

    async def get(self, db: Any, request: RequestRecord) -> list[Json]:
        """Return `errorSummary` of a request's status."""
        if not request.counts.failed:
            return []
        kept = self._kept.get(request.id)
        now = time.monotonic()
        if kept is not None and (kept.failed == request.counts.failed or (now < kept.until and request.counts.pending)):
            return kept.groups
        found = await list_error_groups(
            db, request.id, by_domain=CODES_BY_DOMAIN, least_rows_of_domain=LEAST_ROWS_OF_DOMAIN
        )
        groups = render_summary(found, _situation_of)
        took = time.monotonic() - now
        self._kept[request.id] = _Kept(request.counts.failed, now + max(LEAST_SECONDS, took * SHARE), groups)
        self._kept.move_to_end(request.id)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return groups


def _situation_of(cause: Cause) -> Situation:
    return describe(
        Protocol(cause.protocol),
        cause.provider,
        host=cause.host,
        port=cause.port,
        encryption=Encryption(cause.encryption) if cause.encryption else None,
        count=cause.count,
        domain=cause.domain,
    )
