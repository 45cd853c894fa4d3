"""Pure: what the check of a side came to, as it is stored and shown: code, words, settings that were used."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from app.checked import Checked, Failure, SideResult, Trace
from app.codes import Code
from app.diagnose.diagnose import Diagnosis
from app.diagnose.sides import join_sides
from app.intake.presets import find_preset, find_preset_by_host
from app.model import Correction, Encryption, Fault, Protocol, Server, Side, SideStatus
from app.report.advice import Situation, lead_with, render_remedy

NOBODYS: Final = "other"
"""The preset of servers that are no provider's."""

_SPOKEN: Final = re.compile(r" \(|, | / ")
"""Where what a preset is called begins to be more than people say: Outlook.com, Hotmail, Live."""


@dataclass(frozen=True, slots=True)
class SideVerdict:
    """How one side ended. `sent_credentials`: a login was made. `is_answered`: nobody is left waiting for an answer.

    `is_final`: it is not tried again, whatever its code. `is_host_known`: others were answered where this side was
    refused or met silence, so that will pass.
    """

    result: SideResult
    side: Side
    sent_credentials: bool
    is_answered: bool
    is_final: bool = False
    is_host_known: bool = False


@dataclass(frozen=True, slots=True)
class RowVerdict:
    """How the checked sides of a row ended; None where a side was not checked.

    `waits`: sides that found no turn at their host, and how many seconds later to try; nothing was sent for them.
    """

    smtp: SideVerdict | None
    imap: SideVerdict | None
    waits: Mapping[Protocol, float] = field(default_factory=dict)


@dataclass(slots=True)
class Progress:
    """How far a row's check got; it tells what is known when the check is cancelled.

    `ended`: sides that were through. `sent`: sides whose credentials may have been sent. `on_arrival`: what to call
    when no side is on its way to its first host any more.
    """

    ended: dict[Protocol, SideVerdict] = field(default_factory=dict)
    sent: set[Protocol] = field(default_factory=set)
    on_arrival: Callable[[], None] | None = None
    _arrived: set[Protocol] = field(default_factory=set)

    def arrive(self, *sides: Protocol) -> None:
        """Tell that sides ask for a turn at their first host, or will not come there."""
        self._arrived.update(sides)
        if self.on_arrival is not None and len(self._arrived) == len(Protocol):
            self.on_arrival()
            self.on_arrival = None


def judge(
    provider: str,
    side: Side,
    checked: Checked,
    diagnosis: Diagnosis,
    *,
    corrections: Sequence[Correction] = (),
    dials: int = 0,
    is_final: bool = False,
    is_host_known: bool = False,
) -> SideVerdict:
    """Return the verdict of a side. `dials`: connections that were tried for it."""
    trace, failure = checked.trace, checked.failure
    code = diagnosis.code
    is_ok = code is Code.OK
    reply = checked.reply if is_ok or failure is None else failure.reply
    certificate = trace.certificate
    if failure is not None and failure.certificate is not None:
        certificate = failure.certificate
    situation = describe(
        checked.protocol,
        provider,
        host=trace.server.host,
        port=trace.server.port,
        encryption=trace.server.encryption,
        certificate_names=certificate.names,
    )
    hides_mail = is_ok and trace.has_all_mail is False and provider in {"gmail", "gsuite"}
    remedy = "" if is_ok else render_remedy(code, situation)
    if diagnosis.rule.startswith(("policy:", "pace:")):
        remedy = lead_with(diagnosis.evidence, remedy)
    result = SideResult(
        protocol=checked.protocol,
        status=SideStatus.OK if is_ok else SideStatus.FAILED,
        code=code.value,
        rule=diagnosis.rule,
        fault=Fault.NOBODY if is_ok else diagnosis.fault,
        is_retryable=not is_ok and diagnosis.is_retryable,
        stage=None if failure is None else failure.stage,
        reply=str(reply) if reply is not None else (failure.detail if failure is not None else ""),
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
    return SideVerdict(result, side, trace.sent_credentials, is_answered, is_final, is_host_known)


def describe(
    protocol: Protocol,
    provider: str,
    *,
    host: str = "",
    port: int = 0,
    encryption: Encryption | None = None,
    certificate_names: Sequence[str] = (),
    count: int = 1,
    domain: str = "",
) -> Situation:
    """Return what a remedy may speak of: the given, and what is known of the provider.

    `provider`: a slug; where that says nothing, whose the host is.
    """
    preset = (find_preset(provider) if provider else None) or (find_preset_by_host(host) if host else None)
    if preset is None or preset.slug == NOBODYS:
        return Situation(protocol, "", "", host, port, encryption, certificate_names, count=count, domain=domain)
    known = (preset.server(protocol, ""), *preset.alternatives(protocol))
    return Situation(
        protocol,
        preset.slug,
        _SPOKEN.split(preset.name)[0].replace("!", ""),
        host,
        port,
        encryption,
        certificate_names,
        preset.note,
        [server for server in known if server is not None and server.host == host],
        preset.auth == "app_password",
        count,
        domain,
    )


def not_dialled(protocol: Protocol, side: Side, failure: Failure | None = None) -> Checked:
    """Return a check that ended before anything was dialled."""
    server = Server(side.host, side.port, side.encryption or Encryption.SSL)
    return Checked(protocol, Trace(server), failure)


def join(smtp: SideVerdict, imap: SideVerdict, *, same_secret: bool) -> tuple[SideVerdict, SideVerdict]:
    """Add to both sides' remedies what only both together tell."""
    note = join_sides(_diagnosis(smtp), _diagnosis(imap), same_secret=same_secret)
    return (_with_note(smtp, note), _with_note(imap, note)) if note else (smtp, imap)


def _diagnosis(verdict: SideVerdict) -> Diagnosis:
    return Diagnosis(Code(verdict.result.code), verdict.result.rule)


_NOTED: Final = frozenset({Code.INVALID_CREDENTIALS, Code.CONNECTION_TIMEOUT, Code.HOST_UNREACHABLE})


def _with_note(verdict: SideVerdict, note: str) -> SideVerdict:
    """Put what both sides tell together in place of what one side alone tells."""
    if verdict.result.status is SideStatus.OK or Code(verdict.result.code) not in _NOTED:
        return verdict
    return replace(verdict, result=replace(verdict.result, remedy=lead_with(note, verdict.result.remedy)))
