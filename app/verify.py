"""I/O: one row, both sides: missing servers found, logins checked at one server after the other, words chosen.

The worker, the single connect of the API and the command line's `check` all come through here.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from app.attempt import REFUSES_US, check_at_server
from app.checked import Failure, FailureKind
from app.codes import Code
from app.complete import complete_side
from app.diagnose.diagnose import Diagnosis
from app.intake.policy import judge_before_dialling
from app.intake.presets import find_preset_by_host
from app.login.resolve import ResolveError
from app.model import Protocol, Secret, Side, Stage
from app.pace import NoTurn
from app.task import Kit, RowTask, SideTask
from app.verdict import Progress, RowVerdict, SideVerdict, join, judge, not_dialled

_NOBODY_THERE: Final = REFUSES_US | {
    Code.DNS_NOT_FOUND,
    Code.ADDRESS_NOT_ALLOWED,
    Code.PROTOCOL_ERROR,
    Code.TLS_MODE_MISMATCH,
    Code.TLS_PROTOCOL_UNSUPPORTED,
    Code.TLS_CERT_EXPIRED,
    Code.TLS_CERT_UNTRUSTED,
    Code.TLS_HOSTNAME_MISMATCH,
    Code.STARTTLS_UNSUPPORTED,
    Code.AUTH_MECHANISM_UNSUPPORTED,
}
"""How it ends where a server that the domain names is none that could take the login."""


async def verify_row(row: RowTask, kit: Kit, progress: Progress | None = None) -> RowVerdict:
    """Check the sides of a row side by side. Raises nothing but CancelledError; `progress` tells what is known then."""
    progress = progress or Progress()
    secrets = row.secrets
    smtp, imap = await asyncio.gather(
        _verify_side(row, Protocol.SMTP, row.smtp, secrets.smtp, secrets.smtp_is_token, kit, progress),
        _verify_side(row, Protocol.IMAP, row.imap, secrets.imap, secrets.imap_is_token, kit, progress),
    )
    waits: dict[Protocol, float] = {}
    if isinstance(smtp, float):
        waits[Protocol.SMTP], smtp = smtp, None
    if isinstance(imap, float):
        waits[Protocol.IMAP], imap = imap, None
    if smtp is not None and imap is not None:
        smtp, imap = join(smtp, imap, same_secret=secrets.smtp == secrets.imap)
    return RowVerdict(smtp, imap, waits)


async def _verify_side(
    row: RowTask,
    protocol: Protocol,
    side: Side | None,
    secret: Secret | None,
    is_token: bool,
    kit: Kit,
    progress: Progress,
) -> SideVerdict | float | None:
    """Return the verdict of a side, or in how many seconds it is to come back; None: it is not to be checked."""
    if side is None or not side.wanted:
        progress.arrive(protocol)
        return None
    task = SideTask(row, row.provider, protocol, side, secret or Secret(""), is_token, kit, progress)
    try:
        verdict = await _check_side(task)
    except NoTurn as waits:
        return waits.seconds
    finally:
        progress.arrive(protocol)
    progress.ended[protocol] = verdict
    return verdict


async def _check_side(task: SideTask) -> SideVerdict:
    refused = _judge_beforehand(task)
    if refused is not None:
        return refused
    if not task.secret:
        ours = Failure(FailureKind.OURS, Stage.AUTH, detail="the credential could not be opened")
        return task.judge(ours, Diagnosis(Code.INTERRUPTED, "seal"))
    try:
        sides = await complete_side(task.protocol, task.side, task.kit.tools)
    except ResolveError:
        unknown = Failure(FailureKind.NAME_TEMPORARY, Stage.RESOLVE, detail="the name servers could not say")
        return task.judge(unknown, Diagnosis(Code.CONNECTION_TIMEOUT, "discovery", unknown.detail))
    if not sides:
        missing = Failure(FailureKind.NAME_NOT_FOUND, Stage.RESOLVE, detail="no settings were found for the domain")
        return task.judge(missing, Diagnosis(Code.DNS_NOT_FOUND, "discovery", missing.detail))
    return await _try_servers(task, sides)


async def _try_servers(task: SideTask, sides: Sequence[Side]) -> SideVerdict:
    """Check at one server after the other that the domain names, as long as none is there to judge the login.

    Where none is, it is told of the first, which is the most trusted (RFC 2782: a client tries the next one).

    Raises:
        NoTurn: a host has none for us now; nothing was sent.
    """
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + task.kit.timeout_seconds
    verdicts: list[SideVerdict] = []
    for side in sides:
        left_seconds = ends_at - loop.time() if verdicts else task.kit.timeout_seconds
        if left_seconds <= 0:
            break
        verdict = await _check_at(task, side, left_seconds, is_last=side is sides[-1])
        if verdict.sent_credentials or Code(verdict.result.code) not in _NOBODY_THERE:
            return verdict
        verdicts.append(verdict)
    return replace(verdicts[0], is_final=all(verdict.is_final for verdict in verdicts))


async def _check_at(task: SideTask, side: Side, left_seconds: float, *, is_last: bool) -> SideVerdict:
    """Check at one server; what may be meant instead of its port is tried only where no other server is left."""
    preset = find_preset_by_host(side.host)
    task.provider = task.row.provider or (preset.slug if preset is not None else "")
    task.side, task.timeout_seconds = side, left_seconds
    task.auto_correct = is_last and task.row.auto_correct
    return _judge_beforehand(task) or await check_at_server(task)


def _judge_beforehand(task: SideTask) -> SideVerdict | None:
    """Return the verdict of a login that cannot work where it would be made; None: it may."""
    provider, side = task.provider, task.side
    refusal = judge_before_dialling(provider, task.protocol, host=side.host, is_token=task.is_token)
    if refusal is None:
        return None
    diagnosis = Diagnosis(Code(refusal.code), refusal.rule, refusal.note)
    return judge(provider, side, not_dialled(task.protocol, side), diagnosis)
