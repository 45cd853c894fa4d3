"""Pure: what an attempt at a row came to: tried again, and when, or ended, and how; which account is kept."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from app.codes import FACTS, Code
from app.diagnose.retry import MOST_UNANSWERED, next_attempt_at
from app.model import Fault, Outcome, Protocol, RowState, Save, Secrets, Side, SideResult, SideStatus
from app.store.accounts import KeptAccount
from app.store.checks import ClaimedRow, RowRecord
from app.verify import RowVerdict, SideVerdict


@dataclass(frozen=True, slots=True)
class Terms:
    """What the request allows: until when to retry, and the moment and jitter of this decision."""

    retry_until: datetime
    now: datetime
    jitter: float


def is_interrupted(claimed: ClaimedRow, protocol: Protocol) -> bool:
    """Tell whether nobody saw the answers of two logins: a third is not made (DESIGN section 3)."""
    return _unanswered(claimed, protocol) - 1 >= MOST_UNANSWERED


def interrupted_result(protocol: Protocol, side: Side) -> SideResult:
    """Return the result of a side whose checks were interrupted twice."""
    facts = FACTS[Code.INTERRUPTED]
    return SideResult(
        protocol,
        SideStatus.FAILED,
        Code.INTERRUPTED.value,
        rule="attempts",
        fault=Fault.SERVICE,
        is_retryable=True,
        remedy=facts.remedy,
        host=side.host,
        port=side.port,
        encryption=side.encryption,
    )


def decide(
    claimed: ClaimedRow,
    verdict: RowVerdict,
    settled: Mapping[Protocol, SideResult],
    terms: Terms,
    duration_ms: int,
) -> RowRecord:
    """Return the record of an attempt. `settled`: results of sides not open; `verdict`: of those that were."""
    results = dict(settled)
    due: list[datetime] = []
    still_open = {Protocol.SMTP: False, Protocol.IMAP: False}
    fresh: list[SideResult] = []
    for protocol, side in ((Protocol.SMTP, verdict.smtp), (Protocol.IMAP, verdict.imap)):
        if side is None:
            continue
        result = replace(side.result, attempts=claimed.attempt, logins=_logins(claimed, protocol, side))
        due_at = _due_at(claimed, protocol, side, terms)
        if due_at is not None:
            due.append(due_at)
            still_open[protocol] = True
        results[protocol] = result
        fresh.append(result)
    is_done = not due
    outcome = _outcome(results) if is_done else None
    return RowRecord(
        claimed.request_id,
        claimed.row,
        claimed.attempt,
        state=RowState.DONE if is_done else RowState.WAITING,
        outcome=outcome,
        due_at=None if is_done else min(due),
        duration_ms=duration_ms,
        smtp_open=still_open[Protocol.SMTP],
        imap_open=still_open[Protocol.IMAP],
        smtp_login_back=_login_back(claimed.smtp_open, verdict.smtp),
        imap_login_back=_login_back(claimed.imap_open, verdict.imap),
        smtp_answered=_answered(claimed.smtp_open, verdict.smtp),
        imap_answered=_answered(claimed.imap_open, verdict.imap),
        sides=tuple(fresh),
    )


def hand_back(claimed: ClaimedRow, duration_ms: int) -> RowRecord:
    """Return the record of an attempt that was cut short: whether a login was made, nobody knows."""
    return RowRecord(
        claimed.request_id,
        claimed.row,
        claimed.attempt,
        state=RowState.QUEUED,
        outcome=None,
        due_at=None,
        duration_ms=duration_ms,
        smtp_open=claimed.smtp_open,
        imap_open=claimed.imap_open,
        smtp_login_back=0,
        imap_login_back=0,
        smtp_answered=0,
        imap_answered=0,
    )


def is_kept(record: RowRecord, save: Save, *, is_recheck: bool = False) -> bool:
    """Tell whether an account comes of a row that ended. `is_recheck`: it is an account already."""
    if save is Save.NONE or record.state is not RowState.DONE:
        return False
    return is_recheck or record.outcome is Outcome.CONNECTED or save is Save.ALL


def make_account(
    workspace_id: UUID,
    claimed: ClaimedRow,
    verdict: RowVerdict,
    results: Mapping[Protocol, SideResult],
    sealed: bytes | None,
    secrets: Secrets,
) -> KeptAccount:
    """Return the account of a row, with the settings that worked."""
    smtp = verdict.smtp.side if verdict.smtp is not None else claimed.smtp
    imap = verdict.imap.side if verdict.imap is not None else claimed.imap
    return KeptAccount(
        request_id=claimed.request_id,
        row=claimed.row,
        workspace_id=workspace_id,
        email=claimed.email,
        external_id=claimed.external_id,
        provider=claimed.provider,
        details=claimed.details,
        sealed=sealed,
        smtp_is_token=secrets.smtp_is_token,
        imap_is_token=secrets.imap_is_token,
        smtp=smtp,
        smtp_code=_code(results, Protocol.SMTP),
        imap=imap,
        imap_code=_code(results, Protocol.IMAP),
        status=account_status(results),
    )


def account_status(results: Mapping[Protocol, SideResult]) -> str:
    """Return Context.IO's word for what both sides ended in: the first that failed decides."""
    for result in results.values():
        if result.status is SideStatus.FAILED:
            return FACTS[Code(result.code)].status
    return "NO_ACCESS_TO_ALL_MAIL" if any(result.warning for result in results.values()) else "OK"


def _outcome(results: Mapping[Protocol, SideResult]) -> Outcome:
    is_good = bool(results) and all(result.status is SideStatus.OK for result in results.values())
    return Outcome.CONNECTED if is_good else Outcome.FAILED


def _due_at(claimed: ClaimedRow, protocol: Protocol, side: SideVerdict, terms: Terms) -> datetime | None:
    if side.result.status is SideStatus.OK:
        return None
    return next_attempt_at(
        Code(side.result.code),
        attempt=claimed.attempt,
        login_count=_logins(claimed, protocol, side),
        unanswered_count=_unanswered(claimed, protocol) - (1 if side.is_answered else 0),
        sent_credentials=side.sent_credentials,
        now=terms.now,
        retry_until=terms.retry_until,
        jitter=terms.jitter,
    )


def _logins(claimed: ClaimedRow, protocol: Protocol, side: SideVerdict) -> int:
    counted = claimed.smtp_login_count if protocol is Protocol.SMTP else claimed.imap_login_count
    return counted - (0 if side.sent_credentials else 1)


def _unanswered(claimed: ClaimedRow, protocol: Protocol) -> int:
    return claimed.smtp_unanswered_count if protocol is Protocol.SMTP else claimed.imap_unanswered_count


def _login_back(was_open: bool, side: SideVerdict | None) -> int:
    return int(was_open and (side is None or not side.sent_credentials))


def _answered(was_open: bool, side: SideVerdict | None) -> int:
    return int(was_open and (side is None or side.is_answered))


def _code(results: Mapping[Protocol, SideResult], protocol: Protocol) -> str:
    return results[protocol].code if protocol in results else Code.NOT_CHECKED.value
