"""I/O: one row, both sides: missing servers found, turns waited for, logins checked, corrections tried, words chosen.

The worker, the single connect of the API and the command line's `check` all come through here.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from app.codes import Code
from app.complete import complete_side
from app.diagnose.diagnose import Diagnosis, diagnose_checked
from app.door import Door, find_door
from app.intake.candidates import describe_corrections, list_corrections
from app.intake.policy import judge_before_dialling
from app.intake.presets import find_preset, find_preset_by_host
from app.login.check import Tools, check_login
from app.login.resolve import ResolveError
from app.model import (
    Checked,
    Failure,
    FailureKind,
    Login,
    Protocol,
    Secret,
    Secrets,
    Server,
    Side,
    Stage,
)
from app.pace import TURN_SECONDS, NoTurn, Pace
from app.verdict import Progress, RowVerdict, SideVerdict, join, judge, not_dialled

T = TypeVar("T")

CORRECTION_TURN_SECONDS: Final = 30.0
"""How long a correction waits for its turn: what was dialled before is worth more than a slot."""

_LEFT_ALONE: Final = {
    Code.IP_BLOCKED: "The host began to refuse our address after several failed logins of other mailboxes, and has not "
    "judged this one's password.",
}
_UNANSWERED: Final = "The host has taken none of the logins that were tried there for a while, so this one was spared."
_REFUSES_US: Final = frozenset(
    {Code.CONNECTION_REFUSED, Code.CONNECTION_CLOSED, Code.CONNECTION_TIMEOUT, Code.HOST_UNREACHABLE}
)
_NOBODY_THERE: Final = _REFUSES_US | {
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


@dataclass(frozen=True, slots=True)
class Kit:
    """What all checks of a process share."""

    tools: Tools
    pace: Pace
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class RowTask:
    """One row to check. A side that is None is not to be checked now.

    `tries`: which try of the row this is. Who was silent gets more time at the next: some greet only after half a
    minute (name servers that are down, a pause against spam).
    """

    email: str
    provider: str
    pace_key: str
    smtp: Side | None
    imap: Side | None
    secrets: Secrets
    auto_correct: bool = True
    tries: int = 1


@dataclass(slots=True)
class _Errand:
    """One side of a row on its way. `provider`: a slug; empty until it is known who runs the service."""

    task: RowTask
    provider: str
    protocol: Protocol
    side: Side
    secret: Secret
    is_token: bool
    kit: Kit
    progress: Progress

    def note_cut(self, sent_credentials: bool) -> None:
        if sent_credentials:
            self.progress.sent.add(self.protocol)

    def judge(self, failure: Failure, diagnosis: Diagnosis, *, is_final: bool = False) -> SideVerdict:
        """Return the verdict of a side that was not dialled."""
        checked = not_dialled(self.protocol, self.side, failure)
        return judge(self.provider, self.side, checked, diagnosis, is_final=is_final)


async def verify_row(task: RowTask, kit: Kit, progress: Progress | None = None) -> RowVerdict:
    """Check the sides of a row side by side. Raises nothing but CancelledError; `progress` tells what is known then."""
    progress = progress or Progress()
    secrets = task.secrets
    smtp, imap = await _side_by_side(
        _verify_side(task, Protocol.SMTP, task.smtp, secrets.smtp, secrets.smtp_is_token, kit, progress),
        _verify_side(task, Protocol.IMAP, task.imap, secrets.imap, secrets.imap_is_token, kit, progress),
    )
    waits: dict[Protocol, float] = {}
    if isinstance(smtp, float):
        waits[Protocol.SMTP], smtp = smtp, None
    if isinstance(imap, float):
        waits[Protocol.IMAP], imap = imap, None
    if smtp is not None and imap is not None:
        smtp, imap = join(smtp, imap, same_secret=secrets.smtp == secrets.imap)
    return RowVerdict(smtp, imap, waits)


async def _side_by_side(first: Coroutine[None, None, T], second: Coroutine[None, None, T]) -> tuple[T, T]:
    """Run both, the second in a task of its own. Neither raises anything but CancelledError; both have ended then."""
    beside = asyncio.ensure_future(second)
    try:
        return await first, await beside
    except BaseException:
        beside.cancel()
        await asyncio.wait([beside])
        raise


async def _verify_side(
    task: RowTask,
    protocol: Protocol,
    side: Side | None,
    secret: Secret | None,
    is_token: bool,
    kit: Kit,
    progress: Progress,
) -> SideVerdict | float | None:
    """Return the verdict of a side, or in how many seconds it is to come back; None: it is not to be checked."""
    if side is None or not side.wanted:
        return None
    errand = _Errand(task, task.provider, protocol, side, secret or Secret(""), is_token, kit, progress)
    try:
        verdict = await _check_side(errand)
    except NoTurn as waits:
        return waits.seconds
    progress.ended[protocol] = verdict
    return verdict


async def _check_side(errand: _Errand) -> SideVerdict:
    refused = _judge_beforehand(errand)
    if refused is not None:
        return refused
    if not errand.secret:
        ours = Failure(FailureKind.OURS, Stage.AUTH, detail="the credential could not be opened")
        return errand.judge(ours, Diagnosis(Code.INTERRUPTED, "seal"))
    try:
        sides = await complete_side(errand.protocol, errand.side, errand.kit.tools)
    except ResolveError:
        unknown = Failure(FailureKind.NAME_TEMPORARY, Stage.RESOLVE, detail="the name servers could not say")
        return errand.judge(unknown, Diagnosis(Code.CONNECTION_TIMEOUT, "discovery", unknown.detail))
    if not sides:
        missing = Failure(FailureKind.NAME_NOT_FOUND, Stage.RESOLVE, detail="no settings were found for the domain")
        return errand.judge(missing, Diagnosis(Code.DNS_NOT_FOUND, "discovery", missing.detail))
    return await _try_servers(errand, sides)


async def _try_servers(errand: _Errand, sides: Sequence[Side]) -> SideVerdict:
    """Check at one server after the other that the domain names, as long as none is there to judge the login.

    Where none is, it is told of the first, which is the most trusted (RFC 2782: a client tries the next one).

    Raises:
        NoTurn: a host has none for us now; nothing was sent.
    """
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + errand.kit.timeout_seconds
    verdicts: list[SideVerdict] = []
    for side in sides:
        left_seconds = ends_at - loop.time() if verdicts else errand.kit.timeout_seconds
        if left_seconds <= 0:
            break
        verdict = await _check_at(errand, side, left_seconds, is_last=side is sides[-1])
        if verdict.sent_credentials or Code(verdict.result.code) not in _NOBODY_THERE:
            return verdict
        verdicts.append(verdict)
    return replace(verdicts[0], is_final=all(verdict.is_final for verdict in verdicts))


async def _check_at(errand: _Errand, side: Side, left_seconds: float, *, is_last: bool) -> SideVerdict:
    """Check at one server; what may be meant instead of its port is tried only where no other server is left."""
    preset = find_preset_by_host(side.host)
    provider = errand.provider or (preset.slug if preset is not None else "")
    task = errand.task if is_last else replace(errand.task, auto_correct=False)
    kit = replace(errand.kit, timeout_seconds=left_seconds)
    errand = replace(errand, task=task, provider=provider, side=side, kit=kit)
    return _judge_beforehand(errand) or await _walk(errand)


def _judge_beforehand(errand: _Errand) -> SideVerdict | None:
    """Return the verdict of a login that cannot work where it would be made; None: it may."""
    provider, side = errand.provider, errand.side
    refusal = judge_before_dialling(provider, errand.protocol, host=side.host, is_token=errand.is_token)
    if refusal is None:
        return None
    diagnosis = Diagnosis(Code(refusal.code), refusal.rule, refusal.note)
    return judge(provider, side, not_dialled(errand.protocol, side), diagnosis)


async def _walk(errand: _Errand) -> SideVerdict:
    """Dial the side's server, then, where that ended before any credential was sent, what may be meant instead.

    Raises:
        NoTurn: the host has none for us now; nothing was sent.
    """
    task, protocol, side, kit, provider = errand.task, errand.protocol, errand.side, errand.kit, errand.provider
    assert side.encryption is not None
    given = Server(side.host, side.port, side.encryption)
    preset = find_preset_by_host(side.host) or (find_preset(provider) if provider else None)
    door = await find_door(side.host, preset, kit.tools)
    shut = kit.pace.end_for(door.name, protocol)
    if shut is not None:
        failure = Failure(FailureKind.REFUSED, Stage.CONNECT, detail="not dialled: the host is left alone")
        return errand.judge(failure, Diagnosis(shut, "pace:shut", _LEFT_ALONE.get(shut, _UNANSWERED)), is_final=True)
    first = await _dial(errand, given, door, TURN_SECONDS, kit.timeout_seconds)
    dials, spent_seconds = 1, first.seconds
    # Known by port and encryption: STARTTLS where TLS is spoken from the first byte is silence too.
    is_host_known = kit.pace.knows(door.name, protocol, (given.port, given.encryption))
    is_moody = is_host_known and first.diagnosis.code in _REFUSES_US
    failure_of_first = first.checked.failure
    if failure_of_first is not None and task.auto_correct and not first.is_settled and not is_moody:
        for server in list_corrections(protocol, given, failure_of_first, preset):
            if spent_seconds >= kit.timeout_seconds:
                break
            try:
                left_seconds = kit.timeout_seconds - spent_seconds
                dialled = await _dial(errand, server, door, CORRECTION_TURN_SECONDS, left_seconds)
            except NoTurn:
                if not first.diagnosis.is_retryable:
                    raise
                break  # it is tried again anyhow, and counted so
            dials += 1
            spent_seconds += dialled.seconds
            if dialled.is_settled:
                used = replace(side, host=server.host, port=server.port, encryption=server.encryption)
                mended = describe_corrections(protocol, given, server)
                return judge(provider, used, dialled.checked, dialled.diagnosis, corrections=mended, dials=dials)
    diagnosis = first.diagnosis
    is_banned = kit.pace.shut_for(door.name, protocol) is Code.IP_BLOCKED
    if is_banned and diagnosis.code in _REFUSES_US and not first.is_settled:
        diagnosis = Diagnosis(Code.IP_BLOCKED, "pace:banned", _LEFT_ALONE[Code.IP_BLOCKED])
    return judge(
        provider,
        side,
        first.checked,
        diagnosis,
        dials=dials,
        is_final=kit.pace.is_given_up(door.name, protocol),
        is_host_known=is_host_known,
    )


@dataclass(frozen=True, slots=True)
class _Dialled:
    """What a dial came to. `seconds`: without the wait for its turn."""

    checked: Checked
    diagnosis: Diagnosis
    seconds: float

    @property
    def is_settled(self) -> bool:
        """Whether the login works, or its credential may have been sent: nothing else is to be tried."""
        return self.checked.is_ok or self.checked.trace.sent_credentials


async def _dial(errand: _Errand, server: Server, door: Door, turn_seconds: float, left_seconds: float) -> _Dialled:
    """Wait for a turn, check one login at one server, and let the pace learn from it.

    Raises:
        NoTurn: none came within `turn_seconds`.
    """
    task, protocol, side, pace = errand.task, errand.protocol, errand.side, errand.kit.pace
    login = Login(protocol, server, side.username, errand.secret, errand.is_token, errand.provider, side.sources)
    way = (server.port, server.encryption)
    loop = asyncio.get_running_loop()
    async with pace.turn(
        *(door.name, protocol),
        is_big=door.is_big,
        is_own=door.is_own,
        pace_key=task.pace_key,
        host=server.host,
        way=way,
        seconds=turn_seconds,
    ):
        began_at = loop.time()
        tools = _fit(errand.kit.tools, left_seconds, task.tries)
        checked = await check_login(login, tools, address=side.address, on_cut=errand.note_cut)
        seconds = loop.time() - began_at
    diagnosis = diagnose_checked(checked, provider=errand.provider, is_token=errand.is_token)
    pace.observe(door.name, protocol, diagnosis.code, way)
    return _Dialled(_add_resolve_ms(checked, door.resolve_ms), diagnosis, seconds)


def _fit(tools: Tools, seconds: float, tries: int) -> Tools:
    """Return tools whose checks end within what is left of the row's time, and hurry nobody more than they must."""
    deadlines = tools.deadlines.stretch(tries)
    if seconds < deadlines.total:
        deadlines = replace(deadlines, total=max(seconds, 0.1))
    return tools if deadlines is tools.deadlines else replace(tools, deadlines=deadlines)


def _add_resolve_ms(checked: Checked, milliseconds: int) -> Checked:
    timings = checked.trace.timings
    if not milliseconds:
        return checked
    whole = timings | {Stage.RESOLVE.value: timings.get(Stage.RESOLVE.value, 0) + milliseconds}
    return replace(checked, trace=replace(checked.trace, timings=whole))
