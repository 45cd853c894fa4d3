"""I/O: one row, both sides: missing servers found, turns waited for, logins checked, corrections tried, words chosen.

The worker, the single connect of the API and the command line's `check` all come through here.
"""

import asyncio
from dataclasses import dataclass, replace
from typing import Final

from app.codes import Code
from app.diagnose.diagnose import Diagnosis, diagnose_checked
from app.intake.address import organisation_of, split_domain
from app.intake.candidates import describe_corrections, list_corrections
from app.intake.encryption import USUAL_PORTS, parse_encryption
from app.intake.policy import judge_before_dialling
from app.intake.presets import find_preset, find_preset_by_host
from app.login.check import Tools, check_login
from app.login.discover import Found, discover
from app.login.resolve import ResolveError
from app.model import (
    Checked,
    Encryption,
    Failure,
    FailureKind,
    Login,
    Protocol,
    Secret,
    Secrets,
    Server,
    Side,
    Source,
    Stage,
)
from app.pace import TURN_SECONDS, NoTurn, Pace
from app.verdict import Progress, RowVerdict, SideVerdict, join, judge, not_dialled

__all__ = ["Kit", "Progress", "RowTask", "RowVerdict", "SideVerdict", "verify_row"]

CORRECTION_TURN_SECONDS: Final = 30.0
"""How long a correction waits for its turn: what was dialled before is worth more than a slot."""

_LEFT_ALONE: Final = {
    Code.IP_BLOCKED: "The host began to refuse our address, after several failed logins of other mailboxes.",
}
_UNANSWERED: Final = "The host has taken none of the logins that were tried there for a while, so this one was spared."
_REFUSES_US: Final = frozenset(
    {Code.CONNECTION_REFUSED, Code.CONNECTION_CLOSED, Code.CONNECTION_TIMEOUT, Code.HOST_UNREACHABLE}
)


@dataclass(frozen=True, slots=True)
class Kit:
    """What all checks of a process share."""

    tools: Tools
    pace: Pace
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class RowTask:
    """One row to check. A side that is None is not to be checked now."""

    email: str
    provider: str
    pace_key: str
    smtp: Side | None
    imap: Side | None
    secrets: Secrets
    auto_correct: bool = True


@dataclass(frozen=True, slots=True)
class _Errand:
    """One side of a row on its way."""

    task: RowTask
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
        return judge(self.task.provider, self.side, checked, diagnosis, is_final=is_final)


async def verify_row(task: RowTask, kit: Kit, progress: Progress | None = None) -> RowVerdict:
    """Check the sides of a row side by side. Raises nothing but CancelledError; `progress` tells what is known then."""
    progress = progress or Progress()
    secrets = task.secrets
    smtp, imap = await asyncio.gather(
        _verify_side(task, Protocol.SMTP, task.smtp, secrets.smtp, secrets.smtp_is_token, kit, progress),
        _verify_side(task, Protocol.IMAP, task.imap, secrets.imap, secrets.imap_is_token, kit, progress),
    )
    waits = {of: side for of, side in zip(Protocol, (smtp, imap), strict=True) if isinstance(side, float)}
    smtp = None if isinstance(smtp, float) else smtp
    imap = None if isinstance(imap, float) else imap
    if smtp is not None and imap is not None:
        smtp, imap = join(smtp, imap, same_secret=secrets.smtp == secrets.imap)
    return RowVerdict(smtp, imap, waits)


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
    errand = _Errand(task, protocol, side, secret or Secret(""), is_token, kit, progress)
    try:
        verdict = await _check_side(errand)
    except NoTurn as waits:
        return waits.seconds
    progress.ended[protocol] = verdict
    return verdict


async def _check_side(errand: _Errand) -> SideVerdict:
    task, protocol, side = errand.task, errand.protocol, errand.side
    refusal = judge_before_dialling(task.provider, protocol, host=side.host, is_token=errand.is_token)
    if refusal is not None:
        diagnosis = Diagnosis(Code(refusal.code), refusal.rule, refusal.note)
        return judge(task.provider, side, not_dialled(protocol, side), diagnosis)
    if not errand.secret:
        ours = Failure(FailureKind.OURS, Stage.AUTH, detail="the credential could not be opened")
        return errand.judge(ours, Diagnosis(Code.INTERRUPTED, "seal"))
    try:
        side = await _complete(protocol, side, errand.kit)
    except ResolveError:
        unknown = Failure(FailureKind.NAME_TEMPORARY, Stage.RESOLVE, detail="the name servers could not say")
        return errand.judge(unknown, Diagnosis(Code.CONNECTION_TIMEOUT, "discovery", unknown.detail))
    if not side.host or side.encryption is None:
        missing = Failure(FailureKind.NAME_NOT_FOUND, Stage.RESOLVE, detail="no settings were found for the domain")
        return errand.judge(missing, Diagnosis(Code.DNS_NOT_FOUND, "discovery", missing.detail))
    return await _walk(replace(errand, side=side))


async def _walk(errand: _Errand) -> SideVerdict:
    """Dial the side's server, then, where that ended before any credential was sent, what may be meant instead.

    Raises:
        NoTurn: the host has none for us now; nothing was sent.
    """
    task, protocol, side, kit = errand.task, errand.protocol, errand.side, errand.kit
    assert side.encryption is not None
    given = Server(side.host, side.port, side.encryption)
    preset = find_preset_by_host(side.host) or (find_preset(task.provider) if task.provider else None)
    is_known = preset is not None and preset.owns(side.host)
    door, resolve_ms = (preset.slug, 0) if preset is not None and is_known else await _find_door(side.host, kit)
    shut = kit.pace.end_for(door, protocol)
    if shut is not None:
        failure = Failure(FailureKind.REFUSED, Stage.CONNECT, detail="not dialled: the host is left alone")
        return errand.judge(failure, Diagnosis(shut, "pace:shut", _LEFT_ALONE.get(shut, _UNANSWERED)), is_final=True)
    loop = asyncio.get_running_loop()
    spent_seconds = 0.0
    dials = 0
    first: tuple[Checked, Diagnosis] | None = None
    candidates = [given]
    while candidates and spent_seconds < kit.timeout_seconds:
        server = candidates.pop(0)
        login = Login(protocol, server, side.username, errand.secret, errand.is_token, task.provider, side.sources)
        seconds = TURN_SECONDS if first is None else CORRECTION_TURN_SECONDS
        way = (server.port, server.encryption)
        turn = kit.pace.turn(
            door, protocol, is_big=is_known, pace_key=task.pace_key, host=server.host, way=way, seconds=seconds
        )
        try:
            async with turn:
                began_at = loop.time()
                tools = _shorten(kit.tools, kit.timeout_seconds - spent_seconds)
                checked = await check_login(login, tools, address=side.address, on_cut=errand.note_cut)
                spent_seconds += loop.time() - began_at
        except NoTurn:
            if first is None or not first[1].is_retryable:
                raise
            break  # it is tried again anyhow, and counted so
        dials += 1
        diagnosis = diagnose_checked(checked, provider=task.provider, is_token=errand.is_token)
        kit.pace.observe(door, protocol, diagnosis.code, way)
        if first is None:
            checked = _add_resolve_ms(checked, resolve_ms)
            first = (checked, diagnosis)
            # Known by port and encryption: STARTTLS where TLS is spoken from the first byte is silence too.
            is_known_way = diagnosis.code in _REFUSES_US and kit.pace.knows(door, protocol, way)
            if checked.failure is None or checked.trace.sent_credentials or not task.auto_correct or is_known_way:
                break
            candidates = list_corrections(protocol, server, checked.failure, preset)
        elif checked.is_ok or checked.trace.sent_credentials:
            corrected = replace(side, host=server.host, port=server.port, encryption=server.encryption)
            corrections = describe_corrections(protocol, given, server)
            return judge(task.provider, corrected, checked, diagnosis, corrections=corrections, dials=dials)
    assert first is not None
    checked, diagnosis = first
    shut = kit.pace.shut_for(door, protocol)
    if shut is Code.IP_BLOCKED and diagnosis.code in _REFUSES_US and not checked.trace.sent_credentials:
        diagnosis = Diagnosis(Code.IP_BLOCKED, "pace:banned", _LEFT_ALONE[Code.IP_BLOCKED])
    return judge(task.provider, side, checked, diagnosis, dials=dials)


async def _find_door(host: str, kit: Kit) -> tuple[str, int]:
    """Return by which address a host is paced, and the milliseconds that took; what has none is paced by its name.

    Many domains have names of their own for one machine, which counts what comes from us all the same.
    """
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    try:
        addresses = await kit.tools.resolver.addresses(host)
    except ResolveError:
        return organisation_of(host), 0
    door = min(addresses, key=lambda address: (":" in address, address))
    return door, round((loop.time() - began_at) * 1000)


def _shorten(tools: Tools, seconds: float) -> Tools:
    """Return tools whose checks end within what is left of the row's time."""
    if seconds >= tools.deadlines.total:
        return tools
    return replace(tools, deadlines=replace(tools.deadlines, total=max(seconds, 0.1)))


def _add_resolve_ms(checked: Checked, milliseconds: int) -> Checked:
    timings = checked.trace.timings
    if not milliseconds:
        return checked
    whole = timings | {Stage.RESOLVE.value: timings.get(Stage.RESOLVE.value, 0) + milliseconds}
    return replace(checked, trace=replace(checked.trace, timings=whole))


async def _complete(protocol: Protocol, side: Side, kit: Kit) -> Side:
    """Find what the row leaves out: host by discovery, port and encryption by what is usual.

    Raises:
        ResolveError: the name servers could not say.
    """
    sources = dict(side.sources)
    host, port, encryption = side.host, side.port, side.encryption
    if not host:
        found = await discover(split_domain(side.address)[1], protocol, kit.tools)
        if not found:
            return side
        best = _choose(found, side)
        host, sources["host"] = best.server.host, best.source
        if not port and encryption in {None, best.server.encryption}:
            port, sources["port"] = best.server.port, best.source
        if encryption is None and port == best.server.port:
            encryption, sources["encryption"] = best.server.encryption, best.source
    if encryption is None:
        encryption, sources["encryption"] = parse_encryption("", port) or Encryption.SSL, Source.USUAL
    if not port:
        port, sources["port"] = USUAL_PORTS[protocol, encryption], Source.USUAL
    return replace(side, host=host, port=port, encryption=encryption, sources=sources)


def _choose(found: list[Found], side: Side) -> Found:
    """Return the first server that is as the row says, as far as the row says anything; else the first."""
    for one in found:
        if side.port in {0, one.server.port} and side.encryption in {None, one.server.encryption}:
            return one
    return found[0]
