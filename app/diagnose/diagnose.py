"""Pure: from evidence to a code; place 9 on the line.

What the wire told us (a refused port, a certificate of another name) needs no words. What a server said is read by
`rules`. Where nothing fits, the answer is `unclassified`: a guess could send a person the wrong way.
"""

import re
from dataclasses import dataclass, replace
from typing import Final

from app.checked import Checked, Failure, FailureKind, Reply
from app.codes import FACTS, Code
from app.diagnose.reply import Evidence, evidence_of_reply, guess_protocol, parse_raw
from app.diagnose.rules import find_rule
from app.model import Encryption, Fault, Protocol, Stage


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a side ended as it did. `rule`: what said so; `evidence`: the words or the event it rests on."""

    code: Code
    rule: str
    evidence: str = ""

    @property
    def fault(self) -> Fault:
        return FACTS[self.code].fault

    @property
    def is_retryable(self) -> bool:
        return FACTS[self.code].is_retryable


_BY_KIND: Final = {
    FailureKind.REFUSED: Code.CONNECTION_REFUSED,
    FailureKind.UNREACHABLE: Code.HOST_UNREACHABLE,
    FailureKind.NAME_NOT_FOUND: Code.DNS_NOT_FOUND,
    FailureKind.NAME_TEMPORARY: Code.CONNECTION_TIMEOUT,
    FailureKind.NOT_ALLOWED: Code.ADDRESS_NOT_ALLOWED,
    FailureKind.TLS_NOT_SPOKEN: Code.TLS_MODE_MISMATCH,
    FailureKind.TLS_UNASKED: Code.TLS_MODE_MISMATCH,
    FailureKind.TLS_VERSION: Code.TLS_PROTOCOL_UNSUPPORTED,
    FailureKind.TLS_OTHER: Code.TLS_PROTOCOL_UNSUPPORTED,
    FailureKind.CERTIFICATE_EXPIRED: Code.TLS_CERT_EXPIRED,
    FailureKind.CERTIFICATE_UNTRUSTED: Code.TLS_CERT_UNTRUSTED,
    FailureKind.CERTIFICATE_NAME: Code.TLS_HOSTNAME_MISMATCH,
    FailureKind.STARTTLS_MISSING: Code.STARTTLS_UNSUPPORTED,
    FailureKind.LOGIN_MISSING: Code.AUTH_MECHANISM_UNSUPPORTED,
    FailureKind.LOGIN_NEEDS_TLS: Code.TLS_REQUIRED,
    FailureKind.PROTOCOL: Code.PROTOCOL_ERROR,
    FailureKind.OURS: Code.INTERRUPTED,
}
_SILENCE: Final = {
    FailureKind.TIMEOUT: Code.CONNECTION_TIMEOUT,
    FailureKind.CLOSED: Code.CONNECTION_CLOSED,
    FailureKind.RESET: Code.CONNECTION_CLOSED,
}
_OTHERS: Final = re.compile(r"\b(?:\w+-?)?ftpd?\b|\blmtp\b|\bnntp\b|\binternetnews\b", re.IGNORECASE)


def diagnose(evidence: Evidence, without: frozenset[str] = frozenset()) -> Diagnosis:
    """Return what the words of a reply come to. `without`: ids of rules to leave out."""
    rule = find_rule(evidence, without)
    if rule is None:
        return Diagnosis(Code.UNCLASSIFIED, "none", evidence.text)
    return Diagnosis(rule.code, rule.id, evidence.text)


def diagnose_checked(checked: Checked, *, provider: str = "", is_token: bool = False) -> Diagnosis:
    """Return what a check came to."""
    failure = checked.failure
    if failure is None:
        return Diagnosis(Code.OK, "login")
    if failure.kind in _SILENCE:
        return _diagnose_silence(checked, failure, provider)
    if failure.kind is FailureKind.REPLY and failure.reply is not None:
        return _diagnose_reply(checked, failure, failure.reply, provider, is_token=is_token)
    code = _BY_KIND.get(failure.kind, Code.PROTOCOL_ERROR)
    if failure.kind is FailureKind.TLS_NOT_SPOKEN and checked.trace.server.encryption is Encryption.STARTTLS:
        # It agreed to TLS and then spoke none: the mode was right.
        code = Code.STARTTLS_UNSUPPORTED
    if failure.kind is FailureKind.TLS_NOT_SPOKEN and failure.stage in {Stage.GREET, Stage.AUTH, Stage.SELECT}:
        code = Code.PROTOCOL_ERROR
    return Diagnosis(code, f"kind:{failure.kind}", failure.detail)


def explain(
    raw: str,
    *,
    protocol: Protocol | None = None,
    stage: Stage | None = None,
    provider: str = "",
    host: str = "",
    without: frozenset[str] = frozenset(),
) -> Diagnosis:
    """Return what a pasted reply comes to: the same rules as for a check."""
    evidence = parse_raw(protocol or guess_protocol(raw), raw, stage)
    return diagnose(replace(evidence, provider=provider.lower(), host=host.lower()), without)


def _diagnose_silence(checked: Checked, failure: Failure, provider: str) -> Diagnosis:
    """A peer that stopped talking: what it said before may tell why; after a login nothing is known."""
    words = failure.reply
    if words is not None and words.text:
        spoken = _diagnose_reply(checked, failure, words, provider, is_token=False)
        if spoken.code is not Code.UNCLASSIFIED:
            return spoken
    if failure.stage is Stage.AUTH and checked.trace.sent_credentials:
        return Diagnosis(Code.AUTH_NO_ANSWER, f"kind:{failure.kind}", "no answer after the login")
    return Diagnosis(_SILENCE[failure.kind], f"kind:{failure.kind}", failure.detail)


def _diagnose_reply(checked: Checked, failure: Failure, reply: Reply, provider: str, *, is_token: bool) -> Diagnosis:
    evidence = replace(
        evidence_of_reply(reply, checked.protocol, failure.stage),
        provider=provider,
        host=checked.trace.server.host,
        is_token=is_token,
        sent_credentials=checked.trace.sent_credentials,
    )
    if failure.stage is Stage.GREET and _is_greeting_of_others(checked.trace.greeting):
        return Diagnosis(Code.PROTOCOL_ERROR, "greeting:other_protocol", checked.trace.greeting)
    if reply.status == "BYE" and not reply.text and not reply.response_code:
        return _diagnose_silence(checked, replace(failure, kind=FailureKind.CLOSED, reply=None), provider)
    diagnosis = diagnose(evidence)
    if is_token and diagnosis.code is Code.INVALID_CREDENTIALS:
        # No password was sent: it is the token that was refused.
        return replace(diagnosis, code=Code.OAUTH_TOKEN_INVALID)
    if diagnosis.code in {Code.INVALID_CREDENTIALS, Code.APP_PASSWORD_REQUIRED} and not evidence.sent_credentials:
        # Whatever was refused, it was no password of ours.
        is_at_the_door = failure.stage is Stage.GREET
        return replace(diagnosis, code=Code.IP_BLOCKED if is_at_the_door else Code.AUTH_MECHANISM_UNSUPPORTED)
    return diagnosis


def _is_greeting_of_others(greeting: str) -> bool:
    """Tell whether a greeting that begins like SMTP's is a file or news server's, or LMTP's (RFC 2033)."""
    return _OTHERS.search(greeting) is not None and "smtp" not in greeting.lower()
