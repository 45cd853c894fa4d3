"""Pure: what goes into the cells of a report."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from app.text import guard_cell, unguard_cell

__all__ = ["guard_cell", "render_time", "unguard_cell"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def render_time(moment: datetime) -> str:
    """Write a moment as RFC 3339 has it, in UTC, to the second: 2026-11-21T08:15:30Z."""
    since = moment - _EPOCH
    return _render_second(since.days, since.seconds)


@lru_cache(maxsize=64)
def _render_second(days: int, seconds: int) -> str:
    """Write one second; hundreds of rows end in the same."""
    return (_EPOCH + timedelta(days, seconds)).isoformat()[:19] + "Z"
