"""I/O: the summary of a request's failures, not worked out more often than is worth its cost.

While rows still end, a summary may be some seconds old: it is grouped over all failed rows, of which there may be
thousands, and polling scripts ask every second.
"""

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from app.intake.presets import find_preset
from app.report.summary import render_summary
from app.store.requests import RequestRecord
from app.store.rows import list_error_groups

Json = dict[str, object]

MOST_KEPT: Final = 200
LEAST_SECONDS: Final = 1.0
SHARE: Final = 20
"""A summary is kept for this many times what it took."""


@dataclass(slots=True)
class _Kept:
    version: int
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
        if kept is not None and (kept.version == request.version or (now < kept.until and request.counts.pending)):
            return kept.groups
        groups = render_summary(await list_error_groups(db, request.id), _name_of)
        took = time.monotonic() - now
        self._kept[request.id] = _Kept(request.version, now + max(LEAST_SECONDS, took * SHARE), groups)
        self._kept.move_to_end(request.id)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return groups


def _name_of(slug: str) -> str:
    preset = find_preset(slug) if slug else None
    return preset.name if preset is not None else ""
