"""Pure: the CSV report (CONTRACT section 4); place 11 on the line.

row,externalId,emailAddress,outcome,…
1,,sales@example.com,connected,…

Most of a report is a few texts again and again, so each is made a cell once; the csv module, which looks at every
character of every row, took half of the time of a report of 100,000 rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final

from app.model import SideStatus
from app.report.cell import guard_cell, render_time
from app.report.record import ReportLine, ReportSide

HEADER: Final = (
    *("row", "externalId", "emailAddress", "outcome", "accountId"),
    *("smtpStatus", "smtpCode", "smtpRemedy", "smtpReply", "smtpHost", "smtpPort", "smtpEncryption"),
    *("imapStatus", "imapCode", "imapRemedy", "imapReply", "imapHost", "imapPort", "imapEncryption"),
    *("corrections", "errors", "attempts", "durationMs", "checkedAt"),
)
"""The request's own unknown columns follow these."""

SKIPPED_WORDS: Final = "This address is an account already, and the request said onExisting=skip."

LINE_END: Final = "\r\n"

Sides = dict[tuple[int, bool, str, int, str], tuple[str, ReportSide | None]]
"""Cells of sides that were written, and the side itself, by its identity and what the row says of its server."""


def render_header(columns: Sequence[str] = ()) -> str:
    """Write the first line; `columns` are the request's own, in their order."""
    return ",".join([*HEADER, *map(_cell, columns)]) + LINE_END


def render_rows(rows: Iterable[ReportLine], columns: Sequence[str] = ()) -> str:
    """Write one line a row, in the order given. What is not known yet is an empty cell."""
    sides: Sides = {}
    return "".join([_line(row, columns, sides) for row in rows])


def report_file_name(request_id: object, at: datetime) -> str:
    """Return the report's file name; `at` becomes milliseconds since 1970."""
    return f"Email-Account_Bulk_Report_{request_id}_{int(at.timestamp() * 1000)}.csv"


def list_corrections_of(row: ReportLine) -> list[Mapping[str, str]]:
    """Return what was mended in a row: before the check, then on each side; each once."""
    told: list[Mapping[str, str]] = list(row.corrections)
    for side in (row.smtp, row.imap):
        for entry in side.corrections if side is not None else ():
            mended = {"field": entry.field, "given": entry.given, "used": entry.used, "reason": entry.reason}
            if mended not in told:
                told.append(mended)
    return told


def render_correction(entry: Mapping[str, str]) -> str:
    """Say in one line what was mended; where nothing was changed, what was noticed."""
    field, given, used, reason = entry["field"], entry["given"], entry["used"], entry["reason"]
    return f"{field}: {reason}" if given == used else f"{field}: {given or 'empty'} -> {used or 'empty'}: {reason}"


def _line(row: ReportLine, columns: Sequence[str], sides: Sides) -> str:
    done = row.outcome != ""
    mended = row.corrections or (row.smtp and row.smtp.corrections) or (row.imap and row.imap.corrections)
    cells = [
        str(row.row),
        _cell(row.external_id),
        _cell(row.email),
        row.outcome,
        "" if row.account_id is None else str(row.account_id),
        _share(sides, row.smtp, done, row.smtp_host, row.smtp_port, row.smtp_encryption),
        _share(sides, row.imap, done, row.imap_host, row.imap_port, row.imap_encryption),
        _words(_mended(row)) if mended else "",
        _words(_errors(row)),
        str(row.attempts),
        str(row.duration_ms),
        "" if row.checked_at is None else render_time(row.checked_at),
    ]
    if columns:
        cells += [_cell(row.extra.get(name, "")) for name in columns]
    return ",".join(cells) + LINE_END


def _share(sides: Sides, side: ReportSide | None, done: bool, host: str, port: int, encryption: str) -> str:
    """Return a side's cells. Rows whose sides came to the same have one object for it, which is written once."""
    key = (id(side), done, host, port, encryption)
    found = sides.get(key)
    if found is None:
        # It is held on to, so that nothing else comes to have its identity.
        found = sides[key] = (_side(side, done, host, port, encryption), side)
    return found[0]


def _side(side: ReportSide | None, done: bool, host: str, port: int, encryption: str) -> str:
    """Return a side's seven cells."""
    if side is None:
        status, code = (SideStatus.SKIPPED, "not_checked") if done else ("", "")
        return f"{status},{code},,,{_cell(host)},{port or ''},{encryption}"
    return (
        f"{side.status},{side.code},{_words(side.remedy)},{_words(side.reply)},"
        f"{_cell(side.host or host)},{side.port or port or ''},{side.encryption or encryption}"
    )


def _mended(row: ReportLine) -> str:
    return "; ".join(map(render_correction, list_corrections_of(row))).replace(".; ", "; ")


def _errors(row: ReportLine) -> str:
    if row.duplicate_of:
        return f"The same mailbox as row {row.duplicate_of}."
    if row.outcome == "skipped" and not row.errors:
        return SKIPPED_WORDS
    return " ".join([error["message"] for error in row.errors])


@lru_cache(maxsize=1000)
def _words(text: str) -> str:
    """Write a cell of ours on the row's line; only the request's own cells may be of several. Many rows share it."""
    return _cell(" ".join(text.split()) if "\n" in text or "\r" in text else text)


def _cell(text: str) -> str:
    """Write a cell as RFC 4180 has it, guarded: it may hold words of strangers."""
    guarded = guard_cell(text)
    if '"' in guarded or "," in guarded or "\n" in guarded or "\r" in guarded:
        return '"' + guarded.replace('"', '""') + '"'
    return guarded
