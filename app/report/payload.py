"""Pure: the JSON bodies of the API's answers, in camelCase (CONTRACT sections 2 and 3)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from app.checked import SideResult
from app.codes import FACTS, Code
from app.model import REJECTIONS_SHOWN, Correction, Counts, Encryption, Outcome, Protocol, RowError, SideStatus, Stage
from app.report.cell import render_time
from app.report.record import ReportRequest, ReportRow
from app.report.rows import list_corrections_of

Json = dict[str, object]

STATUS_PATH: Final = "/v1/email-accounts/connect/status/"

REPORT_PROBLEM: Final = (
    "All rows have ended, but the report cannot be written now: its store has no room, or cannot be reached. It is "
    "written as soon as that is mended; until then `links.report`, with your API key, gives the same lines."
)

STAGE_WORDS: Final[Mapping[Stage, str]] = {
    stage: "greeting" if stage is Stage.GREET else stage.value for stage in Stage
}
"""What users call the stages, as keys of `timings` and as `stage`."""


def render_accepted(request_id: object, counts: Counts, errors: Iterable[RowError], columns: Iterable[str]) -> Json:
    """Return the answer to connect, reconnect and retry. The sentence is the one Saleshandy's API gives."""
    rejections = [
        {"row": error.row, "field": error.field, "code": error.code, "message": error.message} for error in errors
    ]
    message = (
        "The email accounts connection process has been initiated successfully. Please wait while we connect your "
        f"email accounts. You may check the status using this API `{STATUS_PATH}{request_id}`."
    )
    payload = {
        "requestId": str(request_id),
        "status": "queued",
        "total": counts.total,
        "accepted": counts.total - counts.invalid - counts.duplicate,
        "invalid": counts.invalid,
        "duplicate": counts.duplicate,
        "rejections": rejections[:REJECTIONS_SHOWN],
        "ignoredColumns": list(columns),
    }
    return {"message": message, "payload": payload}


def render_status(
    request: ReportRequest,
    *,
    now: datetime,
    report_url: str | None,
    error_summary: Sequence[Json] = (),
    links: Mapping[str, str] | None = None,
) -> Json:
    """Return the answer to a status call. `report_url` counts only once the request is completed."""
    is_completed = request.finished_at is not None
    return {
        "payload": {
            **render_request(request),
            "isCompleted": is_completed,
            "reportURL": report_url if is_completed else None,
            "etaSeconds": estimate_seconds(request.counts, request.started_at, now, is_completed=is_completed),
            "errorSummary": list(error_summary),
            "links": dict(links or {}),
        }
    }


def render_request(request: ReportRequest) -> Json:
    """Return a request as it stands in a list of requests."""
    is_completed = request.finished_at is not None
    return {
        "requestId": str(request.id),
        "name": request.name,
        "kind": request.kind,
        "retryOf": str(request.parent_id) if request.parent_id is not None else None,
        "status": request.status.value,
        "isCompleted": is_completed,
        "reportProblem": REPORT_PROBLEM if request.report_failed_at is not None and not is_completed else None,
        "createdAt": render_time(request.created_at),
        "startedAt": _time(request.started_at),
        "finishedAt": _time(request.finished_at),
        "expiresAt": render_time(request.expires_at),
        "progress": measure_progress(request.counts, is_completed=is_completed),
        "counts": render_counts(request.counts),
    }


def render_counts(counts: Counts) -> Json:
    return {
        "total": counts.total,
        "pending": counts.pending,
        "connected": counts.connected,
        "failed": counts.failed,
        "invalid": counts.invalid,
        "duplicate": counts.duplicate,
        "skipped": counts.skipped,
        "cancelled": counts.cancelled,
    }


def render_row(row: ReportRow) -> Json:
    """Return one row's result. `outcome` is null while it is pending; `sources` says what was filled from where."""
    done = row.outcome != ""
    return {
        "row": row.row,
        "externalId": row.external_id,
        "emailAddress": row.email,
        "emailServiceProvider": row.provider,
        "outcome": row.outcome or None,
        "accountId": str(row.account_id) if row.account_id is not None else None,
        "smtp": _side(row.smtp, Protocol.SMTP, done, row.smtp_host, row.smtp_port, row.smtp_encryption),
        "imap": _side(row.imap, Protocol.IMAP, done, row.imap_host, row.imap_port, row.imap_encryption),
        "corrections": [dict(entry) for entry in list_corrections_of(row)],
        "errors": [{"row": row.row, **error} for error in row.errors],
        "duplicateOf": row.duplicate_of or None,
        "sources": {side: dict(settings) for side, settings in row.sources.items()},
        "attempts": row.attempts,
        "durationMs": row.duration_ms,
        "checkedAt": _time(row.checked_at),
        "extra": dict(row.extra),
    }


def render_side(side: SideResult) -> Json:
    """Return one side's result (CONTRACT section 3)."""
    return {
        "status": side.status.value,
        "code": side.code,
        "title": FACTS[Code(side.code)].title,
        "remedy": side.remedy,
        "fault": side.fault.value or None,
        "retryable": side.is_retryable,
        "stage": STAGE_WORDS[side.stage] if side.stage is not None else None,
        "reply": side.reply,
        "host": side.host,
        "port": side.port or None,
        "encryption": side.encryption.value if side.encryption is not None else None,
        "address": side.address or None,
        "tlsVersion": side.tls_version or None,
        "certificateNames": list(side.certificate_names),
        "certificateExpiresAt": _time(side.certificate_expires_at),
        "mechanism": side.mechanism or None,
        "timings": {word: side.timings.get(stage.value) for stage, word in STAGE_WORDS.items()},
        "attempts": side.attempts,
        "logins": side.logins,
        "corrections": [_correction(entry) for entry in side.corrections],
        "warning": side.warning or None,
        "rule": side.rule,
    }


def render_single(
    *,
    email: str,
    outcome: str,
    smtp: SideResult | None,
    imap: SideResult | None,
    account_id: object = None,
    corrections: Sequence[Correction] = (),
    errors: Sequence[RowError] = (),
) -> Json:
    """Return the answer to smtp-imap/connect: one account, checked while the caller waited.

    `status` and the two connections stand in the payload and, for scripts written for Saleshandy, beside it.
    """
    is_verified = outcome == Outcome.CONNECTED
    head: Json = {
        "status": int(is_verified),
        "smtpConnection": {"error": _connection_error(smtp)},
        "imapConnection": {"error": _connection_error(imap)},
    }
    message = "The email account is connected." if is_verified else "The email account could not be verified."
    payload: Json = {
        **head,
        "id": str(account_id) if account_id is not None else None,
        "emailAddress": email,
        "outcome": outcome,
        "smtp": _side(smtp, Protocol.SMTP, True),
        "imap": _side(imap, Protocol.IMAP, True),
        "corrections": [_correction(entry) for entry in corrections],
        "errors": [{"field": error.field, "code": error.code, "message": error.message} for error in errors],
    }
    return {"message": message, **head, "payload": payload}


def measure_progress(counts: Counts, *, is_completed: bool) -> int:
    """Return percent of rows that have ended; 100 only when the report is written too."""
    if is_completed:
        return 100
    return min(99, (counts.total - counts.pending) * 100 // counts.total) if counts.total else 0


def estimate_seconds(counts: Counts, started_at: datetime | None, now: datetime, *, is_completed: bool) -> int | None:
    """Return how long it will still take at the pace so far; None while nothing is known, 0 when it is over."""
    if is_completed:
        return 0
    checked = counts.connected + counts.failed
    if started_at is None or not checked:
        return None
    seconds = max(0.0, (now - started_at).total_seconds())
    return max(1, math.ceil(seconds / checked * counts.pending))


def _side(
    side: SideResult | None, protocol: Protocol, done: bool, host: str = "", port: int = 0, encryption: str = ""
) -> Json | None:
    """Return a side's result; one that was never checked is skipped once its row is done, null before."""
    if side is None and not done:
        return None
    mode = Encryption(encryption) if encryption else None
    skipped = SideResult(protocol, SideStatus.SKIPPED, Code.NOT_CHECKED, host=host, port=port, encryption=mode)
    return render_side(side or skipped)


def _connection_error(side: SideResult | None) -> str | None:
    if side is None or side.status is not SideStatus.FAILED:
        return None
    return f"{FACTS[Code(side.code)].title}. {side.remedy}".strip()


def _correction(entry: Correction) -> Json:
    return {"field": entry.field, "given": entry.given, "used": entry.used, "reason": entry.reason}


def _time(moment: datetime | None) -> str | None:
    return render_time(moment) if moment is not None else None
