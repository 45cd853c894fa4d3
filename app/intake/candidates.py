"""Pure: which other servers are worth a dial after one failed before any credential was sent.

In this order, three at most: what the provider's preset says, then the same port in the mode that belongs to it, then
the usual port of each mode. Never less secure than the row asked for; never `none`, which is for those who ask.
"""

from typing import Final

from app.intake.presets import Preset
from app.model import Encryption, Failure, FailureKind, Protocol, Server, Stage

MOST: Final = 3

_SMELLS: Final = frozenset(
    {
        FailureKind.TLS_NOT_SPOKEN,
        FailureKind.STARTTLS_MISSING,
        FailureKind.LOGIN_NEEDS_TLS,
        FailureKind.LOGIN_MISSING,
        FailureKind.REFUSED,
        FailureKind.PROTOCOL,
    }
)
_SILENCE: Final = frozenset({FailureKind.TIMEOUT, FailureKind.CLOSED, FailureKind.RESET})
_USUAL: Final = {
    Protocol.SMTP: ((465, Encryption.SSL), (587, Encryption.STARTTLS)),
    Protocol.IMAP: ((993, Encryption.SSL), (143, Encryption.STARTTLS)),
}
_MODE_OF_PORT: Final = {
    465: Encryption.SSL,
    993: Encryption.SSL,
    587: Encryption.STARTTLS,
    143: Encryption.STARTTLS,
    25: Encryption.STARTTLS,
    2525: Encryption.STARTTLS,
}


def may_be_corrected(failure: Failure) -> bool:
    """Tell whether a failure smells of a wrong port or mode. The caller knows that no credential was sent."""
    if failure.kind in _SMELLS:
        return True
    # A TLS port that hears plain text, or the reverse, often just stays silent or hangs up.
    return failure.kind in _SILENCE and failure.stage in {Stage.TLS, Stage.GREET, Stage.CONNECT}


def list_corrections(protocol: Protocol, server: Server, failure: Failure, preset: Preset | None) -> list[Server]:
    """Return servers to try in turn; empty where another mode or port would not help."""
    if not may_be_corrected(failure):
        return []
    found: list[Server] = []
    other_mode = {Encryption.SSL: Encryption.STARTTLS, Encryption.STARTTLS: Encryption.SSL}
    if failure.kind is not FailureKind.REFUSED:
        fitting = _MODE_OF_PORT.get(server.port, other_mode.get(server.encryption, Encryption.STARTTLS))
        found.append(Server(server.host, server.port, fitting))
        if server.encryption in other_mode:
            found.append(Server(server.host, server.port, other_mode[server.encryption]))
    if preset is not None:
        known = [preset.smtp if protocol is Protocol.SMTP else preset.imap, *preset.alternatives(protocol)]
        found += [entry for entry in known if entry is not None and entry.host == server.host]
    found += [Server(server.host, port, mode) for port, mode in _USUAL[protocol]]
    unique = [entry for entry in dict.fromkeys(found) if entry != server]
    if failure.kind in _SILENCE and failure.stage is Stage.CONNECT:
        unique = [entry for entry in unique if entry.port != server.port]
    return [entry for entry in unique if entry.encryption is not Encryption.NONE][:MOST]
