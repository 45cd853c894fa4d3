"""Pure: the CSV report (CONTRACT section 4); place 11 on the line.

row,externalId,emailAddress,outcome,…
1,,sales@example.com,connected,…
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
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

Cell = str | int


def render_header(columns: Sequence[str] = ()) -> str:
    """Write the first line; `columns` are the request's own, in their order."""
    return _write([[*HEADER, *(guard_cell(name) for name in columns)]])


def render_rows(rows: Iterable[ReportLine], columns: Sequence[str] = ()) -> str:
    """Write one line a row, in the order given. What is not known yet is an empty cell."""
    return _write(_cells(row, columns) for row in rows)


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


def _cells(row: ReportLine, columns: Sequence[str]) -> list[Cell]:
    """Return a row's cells; those that hold words of strangers are guarded."""
    done = row.outcome != ""
    account_id = "" if row.account_id is None else str(row.account_id)
    cells: list[Cell] = [row.row, guard_cell(row.external_id), guard_cell(row.email), row.outcome, account_id]
    cells += _side_cells(row.smtp, done, row.smtp_host, row.smtp_port, row.smtp_encryption)
    cells += _side_cells(row.imap, done, row.imap_host, row.imap_port, row.imap_encryption)
    mended = row.corrections or (row.smtp and row.smtp.corrections) or (row.imap and row.imap.corrections)
    cells += (
        guard_cell(_mended(row)) if mended else "",
        guard_cell(_one_line(_errors(row))),
        row.attempts,
        row.duration_ms,
        "" if row.checked_at is None else render_time(row.checked_at),
    )
    if columns:
        cells += [guard_cell(row.extra.get(name, "")) for name in columns]
    return cells


def _side_cells(side: ReportSide | None, done: bool, host: str, port: int, encryption: str) -> tuple[Cell, ...]:
    if side is None:
        status, code = (SideStatus.SKIPPED, "not_checked") if done else ("", "")
        return (str(status), code, "", "", guard_cell(host), port or "", encryption)
    return (
        str(side.status),
        side.code,
        guard_cell(_one_line(side.remedy)),
        guard_cell(_one_line(side.reply)),
        guard_cell(side.host or host),
        side.port or port or "",
        str(side.encryption or encryption),
    )


def _mended(row: ReportLine) -> str:
    return _one_line("; ".join(map(render_correction, list_corrections_of(row))).replace(".; ", "; "))


def _one_line(text: str) -> str:
    """Keep a cell of ours on the row's line; only the request's own cells may be of several."""
    return " ".join(text.split()) if "\n" in text or "\r" in text else text


def _errors(row: ReportLine) -> str:
    if row.duplicate_of:
        return f"The same mailbox as row {row.duplicate_of}."
    if row.outcome == "skipped" and not row.errors:
        return SKIPPED_WORDS
    return " ".join(error["message"] for error in row.errors)


def _write(lines: Iterable[Iterable[Cell]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(lines)
    return out.getvalue()
