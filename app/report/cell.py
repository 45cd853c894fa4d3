"""Pure: what goes into the cells of a report."""

from datetime import UTC, datetime

from app.text import guard_cell, unguard_cell

__all__ = ["guard_cell", "render_time", "unguard_cell"]


def render_time(moment: datetime) -> str:
    """Write a moment as RFC 3339 has it, in UTC, to the second: 2026-11-21T08:15:30Z."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")[:19] + "Z"
