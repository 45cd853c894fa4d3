"""Pure: what an attempt at a row came to: tried again, and when, or ended, and how; which account is kept."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from app.checked import SideResult
from app.codes import FACTS, Code
from app.diagnose.retry import MOST_LOGINS, MOST_UNANSWERED, next_attempt_at
from app.model import AccountStatus, Fault, Outcome, Protocol, RowState, Save, Secrets, Side, SideStatus
from app.store.accounts import KeptAccount
from app.store.checks import ClaimedRow, RowRecord
from app.verdict import Progress, RowVerdict, SideVerdict

MOST_SPREAD_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Terms:
    """What the request allows: until when to retry, and the moment and jitter of this decision."""

    retry_until: datetime
    now: datetime
    jitter: float


def is_interrupted(claimed: ClaimedRow, protocol: Protocol) -> bool:
    """Tell whether the logins of a side are used up without a verdict (DESIGN section 3).

    Nobody saw the answers of two, or there were three in all, the last of which our worker died in.
    """
    counted = claimed.smtp_login_count if protocol is Protocol.SMTP else claimed.imap_login_count
    return _unanswered(claimed, protocol) - 1 >= MOST_UNANSWERED or counted - 1 >= MOST_LOGINS


def interrupted_result(protocol: Protocol, side: Side) -> SideResult:
    """Return the result of a side whose checks were interrupted too often."""
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
        if protocol in verdict.waits:
            due.append(terms.now + _spread(verdict.waits[protocol], terms.jitter))
            still_open[protocol] = True
        if side is None:
            continue
        result = replace(side.result, attempts=count_tries(claimed), logins=_logins(claimed, protocol, side))
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
        # Both sides are tried at one time: the host that asked for more patience gets it.
        due_at=None if is_done else max(due),
        duration_ms=duration_ms,
        smtp_open=still_open[Protocol.SMTP],
        imap_open=still_open[Protocol.IMAP],
        smtp_login_back=_login_back(claimed.smtp_open, verdict.smtp),
        imap_login_back=_login_back(claimed.imap_open, verdict.imap),
        smtp_answered=_answered(claimed.smtp_open, verdict.smtp),
        imap_answered=_answered(claimed.imap_open, verdict.imap),
        is_put_off=int(bool(verdict.waits) and not fresh),
        sides=tuple(fresh),
    )


def hand_back(
    claimed: ClaimedRow,
    progress: Progress,
    settled: Mapping[Protocol, SideResult],
    terms: Terms,
    duration_ms: int,
) -> RowRecord:
    """Return the record of an attempt that was cut short: sides that were through are kept, the others are open still.

    At least one open side was not through. A login whose answer nobody saw stays counted; one that was not made is
    given back.
    """
    record = decide(
        claimed,
        RowVerdict(progress.ended.get(Protocol.SMTP), progress.ended.get(Protocol.IMAP)),
        settled,
        terms,
        duration_ms,
    )
    smtp_cut = claimed.smtp_open and Protocol.SMTP not in progress.ended
    imap_cut = claimed.imap_open and Protocol.IMAP not in progress.ended
    is_smtp_sent = smtp_cut and Protocol.SMTP in progress.sent
    is_imap_sent = imap_cut and Protocol.IMAP in progress.sent
    return replace(
        record,
        state=RowState.QUEUED if record.due_at is None else RowState.WAITING,
        outcome=None,
        smtp_open=record.smtp_open or smtp_cut,
        imap_open=record.imap_open or imap_cut,
        smtp_login_back=0 if is_smtp_sent else record.smtp_login_back,
        imap_login_back=0 if is_imap_sent else record.imap_login_back,
        smtp_answered=0 if is_smtp_sent else record.smtp_answered,
        imap_answered=0 if is_imap_sent else record.imap_answered,
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
    has_warning = any(result.warning for result in results.values())
    return AccountStatus.NO_ACCESS_TO_ALL_MAIL if has_warning else AccountStatus.OK


def _outcome(results: Mapping[Protocol, SideResult]) -> Outcome:
    is_good = bool(results) and all(result.status is SideStatus.OK for result in results.values())
    return Outcome.CONNECTED if is_good else Outcome.FAILED


def _due_at(claimed: ClaimedRow, protocol: Protocol, side: SideVerdict, terms: Terms) -> datetime | None:
    if side.result.status is SideStatus.OK or side.is_final:
        return None
    return next_attempt_at(
        Code(side.result.code),
        attempt=count_tries(claimed),
        login_count=_logins(claimed, protocol, side),
        unanswered_count=_unanswered(claimed, protocol) - (1 if side.is_answered else 0),
        sent_credentials=side.sent_credentials,
        now=terms.now,
        retry_until=terms.retry_until,
        jitter=terms.jitter,
        is_host_known=side.is_host_known,
    )


def _spread(seconds: float, jitter: float) -> timedelta:
    """Return when to come back to a host, not all at one moment, and never long after it opens."""
    return timedelta(seconds=seconds + min(seconds, MOST_SPREAD_SECONDS) * jitter / 2)


def count_tries(claimed: ClaimedRow) -> int:
    """Return how often the row was claimed and dialled; the times when it found no turn are none."""
    return max(1, claimed.attempt - claimed.put_off_count)


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
