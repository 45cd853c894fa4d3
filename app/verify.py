"""I/O: one row, both sides: missing servers found, turns waited for, logins checked, corrections tried, words chosen.

The worker, the single connect of the API and the command line's `check` all come through here.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from app.codes import Code
from app.diagnose.diagnose import Diagnosis, diagnose_checked
from app.diagnose.sides import join_sides
from app.intake.address import organisation_of, split_domain
from app.intake.candidates import describe_corrections, list_corrections
from app.intake.encryption import USUAL_PORTS
from app.intake.policy import judge_before_dialling
from app.intake.presets import Preset, find_preset, find_preset_by_host
from app.login.check import Tools, check_login
from app.login.discover import discover
from app.model import (
    Checked,
    Correction,
    Encryption,
    Failure,
    FailureKind,
    Fault,
    Login,
    Protocol,
    Secret,
    Secrets,
    Server,
    Side,
    SideResult,
    SideStatus,
    Source,
    Stage,
    Trace,
)
from app.pace import Pace
from app.report.advice import Situation, render_remedy


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
class SideVerdict:
    """How one side ended. `sent_credentials`: a login was made. `is_answered`: nobody is left waiting for an answer."""

    result: SideResult
    side: Side
    sent_credentials: bool
    is_answered: bool


@dataclass(frozen=True, slots=True)
class RowVerdict:
    """How the checked sides of a row ended; None where a side was not checked."""

    smtp: SideVerdict | None
    imap: SideVerdict | None


@dataclass(slots=True)
class Progress:
    """How far a row's check got; it tells what is known when the check is cancelled.

    `ended`: sides that were through. `sent`: sides whose credentials may have been sent.
    """

    ended: dict[Protocol, SideVerdict] = field(default_factory=dict)
    sent: set[Protocol] = field(default_factory=set)


async def verify_row(task: RowTask, kit: Kit, progress: Progress | None = None) -> RowVerdict:
    """Check the sides of a row side by side. Raises nothing but CancelledError; `progress` tells what is known then."""
    progress = progress or Progress()
    secrets = task.secrets
    smtp, imap = await asyncio.gather(
        _verify_side(task, Protocol.SMTP, task.smtp, secrets.smtp, secrets.smtp_is_token, kit, progress),
        _verify_side(task, Protocol.IMAP, task.imap, secrets.imap, secrets.imap_is_token, kit, progress),
    )
    if smtp is None or imap is None:
        return RowVerdict(smtp, imap)
    same = task.secrets.smtp == task.secrets.imap
    note = join_sides(_diagnosis(smtp), _diagnosis(imap), same_secret=same)
    return RowVerdict(_with_note(smtp, note), _with_note(imap, note)) if note else RowVerdict(smtp, imap)


async def _verify_side(
    task: RowTask,
    protocol: Protocol,
    side: Side | None,
    secret: Secret | None,
    is_token: bool,
    kit: Kit,
    progress: Progress,
) -> SideVerdict | None:
    if side is None or not side.wanted:
        return None
    verdict = progress.ended[protocol] = await _judge_side(task, protocol, side, secret, is_token, kit, progress)
    return verdict


async def _judge_side(
    task: RowTask, protocol: Protocol, side: Side, secret: Secret | None, is_token: bool, kit: Kit, progress: Progress
) -> SideVerdict:
    preset = find_preset(task.provider) if task.provider else None
    refusal = judge_before_dialling(task.provider, protocol, host=side.host, is_token=is_token)
    if refusal is not None:
        diagnosis = Diagnosis(Code(refusal.code), refusal.rule, refusal.note)
        return _judge(task, side, _not_dialled(protocol, side), diagnosis, [], 0)
    if secret is None:
        ours = Failure(FailureKind.OURS, Stage.AUTH, detail="the credential could not be opened")
        return _judge(task, side, _not_dialled(protocol, side, ours), Diagnosis(Code.INTERRUPTED, "seal"), [], 0)
    side = await _complete(protocol, side, kit)
    if not side.host or side.encryption is None:
        missing = Failure(FailureKind.NAME_NOT_FOUND, Stage.RESOLVE, detail="no settings were found for the domain")
        checked = _not_dialled(protocol, side, missing)
        return _judge(task, side, checked, Diagnosis(Code.DNS_NOT_FOUND, "discovery", missing.detail), [], 0)
    preset = preset or find_preset_by_host(side.host)
    return await _walk(task, protocol, side, secret, is_token, preset, kit, progress)


async def _walk(
    task: RowTask,
    protocol: Protocol,
    side: Side,
    secret: Secret,
    is_token: bool,
    preset: Preset | None,
    kit: Kit,
    progress: Progress,
) -> SideVerdict:
    """Dial the side's server, then, where that ended before any credential was sent, what may be meant instead."""
    assert side.encryption is not None
    given = Server(side.host, side.port, side.encryption)

    def cut(sent_credentials: bool) -> None:
        if sent_credentials:
            progress.sent.add(protocol)

    dials = 0
    first: tuple[Checked, Diagnosis] | None = None
    candidates = [given]
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + kit.timeout_seconds
    while candidates:
        server = candidates.pop(0)
        login = Login(protocol, server, side.username, secret, is_token, task.provider, side.sources)
        key = task.pace_key or organisation_of(server.host)
        async with kit.pace.turn(key, protocol, is_big=preset is not None):
            checked = await check_login(login, kit.tools, address=side.address, on_cut=cut)
        dials += 1
        diagnosis = diagnose_checked(checked, provider=task.provider, is_token=is_token)
        kit.pace.observe(key, protocol, diagnosis.code)
        if first is None:
            first = (checked, diagnosis)
            is_final = checked.is_ok or checked.trace.sent_credentials or checked.failure is None
            if is_final or not task.auto_correct:
                break
            assert checked.failure is not None
            candidates = list_corrections(protocol, server, checked.failure, preset)
        elif checked.is_ok or checked.trace.sent_credentials:
            corrections = describe_corrections(protocol, given, server)
            corrected = replace(side, port=server.port, encryption=server.encryption)
            return _judge(task, corrected, checked, diagnosis, corrections, dials)
        if loop.time() >= ends_at:
            break
    checked, diagnosis = first or (_not_dialled(protocol, side), Diagnosis(Code.NOT_CHECKED, ""))
    if kit.pace.is_banned(task.pace_key, protocol) and diagnosis.code in {
        Code.CONNECTION_REFUSED,
        Code.CONNECTION_CLOSED,
    }:
        diagnosis = Diagnosis(Code.IP_BLOCKED, "pace:banned", "the host began to refuse us after several failed logins")
    return _judge(task, side, checked, diagnosis, [], dials)


async def _complete(protocol: Protocol, side: Side, kit: Kit) -> Side:
    """Find what the row leaves out: host by discovery, port and encryption by what is usual."""
    sources = dict(side.sources)
    if not side.host:
        found = await discover(split_domain(side.address)[1], protocol, kit.tools)
        if not found:
            return side
        server, source = found[0].server, found[0].source
        sources |= {"host": source, "port": source, "encryption": source}
        port, encryption = side.port or server.port, side.encryption or server.encryption
        if side.port and not side.encryption:
            encryption = Encryption.SSL if side.port in {465, 993} else Encryption.STARTTLS
        elif side.encryption and not side.port and side.encryption is not server.encryption:
            port = USUAL_PORTS[protocol, side.encryption]
        return replace(side, host=server.host, port=port, encryption=encryption, sources=sources)
    encryption = side.encryption or Encryption.SSL
    port = side.port or USUAL_PORTS[protocol, encryption]
    for name, was in (("port", side.port), ("encryption", side.encryption)):
        if not was:
            sources[name] = Source.USUAL
    return replace(side, port=port, encryption=encryption, sources=sources)


def _judge(
    task: RowTask, side: Side, checked: Checked, diagnosis: Diagnosis, corrections: Sequence[Correction], dials: int
) -> SideVerdict:
    trace, failure = checked.trace, checked.failure
    code = diagnosis.code
    is_ok = code is Code.OK
    reply = checked.reply if is_ok or failure is None else failure.reply
    certificate = trace.certificate
    if failure is not None and failure.certificate is not None:
        certificate = failure.certificate
    preset = find_preset(task.provider) if task.provider else None
    situation = Situation(
        checked.protocol,
        task.provider,
        preset.name if preset is not None else "",
        trace.server.host,
        trace.server.port,
        trace.server.encryption,
        certificate.names,
    )
    hides_mail = is_ok and trace.has_all_mail is False and task.provider in {"gmail", "gsuite"}
    remedy = "" if is_ok else render_remedy(code, situation)
    if diagnosis.rule.startswith("policy:"):
        remedy = f"{diagnosis.evidence} {remedy.partition('. ')[2] or remedy}".strip()
    result = SideResult(
        protocol=checked.protocol,
        status=SideStatus.OK if is_ok else SideStatus.FAILED,
        code=code.value,
        rule=diagnosis.rule,
        fault=Fault.NOBODY if is_ok else diagnosis.fault,
        is_retryable=not is_ok and diagnosis.is_retryable,
        stage=None if failure is None else failure.stage,
        reply=str(reply) if reply is not None else "",
        remedy=render_remedy(Code.ALL_MAIL_HIDDEN, situation) if hides_mail else remedy,
        host=trace.server.host,
        port=trace.server.port,
        encryption=trace.server.encryption if trace.server.host else None,
        address=trace.address,
        tls_version=trace.tls_version,
        certificate_names=certificate.names,
        certificate_expires_at=certificate.expires_at,
        mechanism=trace.mechanism.value if trace.mechanism is not None else "",
        timings=trace.timings,
        attempts=dials,
        logins=int(trace.sent_credentials),
        corrections=tuple(corrections),
        warning=Code.ALL_MAIL_HIDDEN.value if hides_mail else "",
    )
    is_answered = not trace.sent_credentials or code is not Code.AUTH_NO_ANSWER
    return SideVerdict(result, side, trace.sent_credentials, is_answered)


def _not_dialled(protocol: Protocol, side: Side, failure: Failure | None = None) -> Checked:
    server = Server(side.host, side.port, side.encryption or Encryption.SSL)
    return Checked(protocol, Trace(server), failure)


def _diagnosis(verdict: SideVerdict) -> Diagnosis:
    return Diagnosis(Code(verdict.result.code), verdict.result.rule)


_NOTED: Final = frozenset({Code.INVALID_CREDENTIALS, Code.CONNECTION_TIMEOUT, Code.HOST_UNREACHABLE})


def _with_note(verdict: SideVerdict, note: str) -> SideVerdict:
    """Put what both sides tell together before the remedy; the remedy's own first sentence gives way to it."""
    if verdict.result.status is SideStatus.OK or Code(verdict.result.code) not in _NOTED:
        return verdict
    rest = verdict.result.remedy.partition(". ")[2] or verdict.result.remedy
    return replace(verdict, result=replace(verdict.result, remedy=f"{note} {rest}"))
