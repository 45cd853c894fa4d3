"""Pure: many failed rows to few things to do: grouped by cause, server and domain, the largest first.

What an organisation's administrator must change is said once for each domain; all else once for each server.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from app.codes import FACTS, Code
from app.report.advice import Situation, render_remedy
from app.report.record import ErrorGroup

GROUP_LIMIT: Final = 50
CODES_BY_DOMAIN: Final = tuple(code for code, facts in FACTS.items() if facts.group == "Policy")
"""What an administrator's setting makes all of a domain fail alike with."""

LEAST_ROWS_OF_DOMAIN: Final = 2
"""One mailbox alone may well have a setting of its own."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Failed sides with one thing to do. `domain` is empty where they are of several."""

    code: str
    protocol: str
    host: str
    port: int
    encryption: str
    provider: str
    domain: str
    count: int
    first_row: int
    reply: str


SituationOf = Callable[[Cause], Situation]
"""From a cause to what its remedy may speak of."""


def list_causes(groups: Iterable[ErrorGroup], limit: int = GROUP_LIMIT) -> list[Cause]:
    """Join groups that ask for the same thing; at most `limit` causes, the largest first, then in row order."""
    causes: dict[tuple[str, str, str, str], Cause] = {}
    for group in groups:
        domain = group.domain if _is_for_domain(group) else ""
        key = (group.code, group.protocol, group.host, domain)
        known = causes.get(key)
        causes[key] = _start(group) if known is None else _join(known, group)
    return sorted(causes.values(), key=lambda cause: (-cause.count, cause.first_row, cause.protocol))[:limit]


def render_summary(
    groups: Iterable[ErrorGroup], situation_of: SituationOf, limit: int = GROUP_LIMIT
) -> list[dict[str, object]]:
    """Return `errorSummary` of a status answer."""
    return [_render(cause, situation_of(cause)) for cause in list_causes(groups, limit)]


def _is_for_domain(group: ErrorGroup) -> bool:
    """Tell whether all of a domain is likely to fail alike, by its own administrator's setting."""
    return bool(group.domain) and group.code in CODES_BY_DOMAIN and group.count >= LEAST_ROWS_OF_DOMAIN


def _start(group: ErrorGroup) -> Cause:
    return Cause(
        code=group.code,
        protocol=group.protocol,
        host=group.host,
        port=group.port,
        encryption=group.encryption,
        provider=group.provider,
        domain=group.domain,
        count=group.count,
        first_row=group.first_row,
        reply=group.reply,
    )


def _join(known: Cause, group: ErrorGroup) -> Cause:
    """Add a group to a cause; the settings of the first one, the larger, stand for both."""
    example = min(known, group, key=lambda one: one.first_row)
    return replace(
        known,
        domain=known.domain if known.domain == group.domain else "",
        count=known.count + group.count,
        first_row=example.first_row,
        reply=example.reply,
    )


def _render(cause: Cause, situation: Situation) -> dict[str, object]:
    code = Code(cause.code)
    facts = FACTS[code]
    return {
        "code": cause.code,
        "protocol": cause.protocol,
        "host": cause.host,
        "domain": cause.domain or None,
        "count": cause.count,
        "title": facts.title,
        "remedy": render_remedy(code, situation),
        "fault": facts.fault or None,
        "retryable": facts.is_retryable,
        "exampleRow": cause.first_row,
        "exampleReply": cause.reply or None,
    }
