"""Pure: other servers to try where a port or a TLS mode looks wrong and no credential has been sent yet.

The order explains itself: first the same port in the other mode, where what came back says so; then what the
provider is known to offer; then the usual ports of the same host (RFC 8314, section 7.3; RFC 6409, section 3.1).
A host that is not the row's own or its provider's is never tried, and `none` only where the row asked for it.
"""

from collections.abc import Iterator
from typing import Final

from app.checked import Failure, FailureKind
from app.intake.presets import Preset
from app.model import Correction, Encryption, Protocol, Server, Stage

MOST_CANDIDATES: Final = 3

_USUAL: Final = {
    Protocol.SMTP: ((465, Encryption.SSL), (587, Encryption.STARTTLS), (587, Encryption.NONE)),
    Protocol.IMAP: ((993, Encryption.SSL), (143, Encryption.STARTTLS), (143, Encryption.NONE)),
}
_SMELLS_WRONG: Final = frozenset(
    {
        FailureKind.TIMEOUT,
        FailureKind.CLOSED,
        FailureKind.RESET,
        FailureKind.REFUSED,
        FailureKind.TLS_NOT_SPOKEN,
        FailureKind.TLS_UNASKED,
        FailureKind.STARTTLS_MISSING,
        FailureKind.LOGIN_MISSING,
        FailureKind.LOGIN_NEEDS_TLS,
        FailureKind.PROTOCOL,
    }
)
_IN_VAIN: Final = frozenset({Stage.RESOLVE, Stage.SELECT})
"""A name that does not resolve and a mailbox that does not open are no matter of ports."""


def list_corrections(protocol: Protocol, server: Server, failure: Failure, preset: Preset | None) -> list[Server]:
    """Return the servers to try next, at most three, best first; none where trying would not be right.

    `server`: the one the row asked for, which failed before any credential was sent (the caller sees to that).
    `preset`: the row's provider, where it is known.
    """
    if failure.kind not in _SMELLS_WRONG or failure.stage in _IN_VAIN:
        return []
    found: list[Server] = []
    for candidate in _propose(protocol, server, failure, preset):
        is_safe = candidate.encryption is not Encryption.NONE or server.encryption is Encryption.NONE
        if is_safe and candidate != server and candidate not in found:
            found.append(candidate)
    return found[:MOST_CANDIDATES]


def describe_corrections(protocol: Protocol, given: Server, used: Server) -> tuple[Correction, ...]:
    """Say what differs between the server a row named and the one that worked."""
    reason = "The login did not work as given, and works like this."
    pairs = (
        ("Host", given.host, used.host),
        ("Port", str(given.port), str(used.port)),
        ("Encryption", given.encryption.value, used.encryption.value),
    )
    return tuple(Correction(f"{protocol}{name}", old, new, reason) for name, old, new in pairs if old != new)


def _propose(protocol: Protocol, server: Server, failure: Failure, preset: Preset | None) -> Iterator[Server]:
    other_mode = _other_mode(server, failure)
    if other_mode is not None:
        yield Server(server.host, server.port, other_mode)
    if preset is not None and preset.owns(server.host):
        yield from _offers(preset, protocol)
    for port, encryption in _USUAL[protocol]:
        yield Server(server.host, port, encryption)


def _other_mode(server: Server, failure: Failure) -> Encryption | None:
    """Return the mode that what came back asks for on the same port; None: nothing says so."""
    if server.encryption is Encryption.SSL:
        return Encryption.STARTTLS if failure.kind is FailureKind.TLS_NOT_SPOKEN else None
    if server.encryption is Encryption.NONE and failure.kind is FailureKind.LOGIN_NEEDS_TLS:
        return Encryption.STARTTLS
    if failure.kind is FailureKind.TLS_UNASKED:
        return Encryption.SSL
    # A server of implicit TLS waits for the handshake, or hangs up on what is none.
    is_mute = failure.kind in {FailureKind.TIMEOUT, FailureKind.CLOSED, FailureKind.RESET, FailureKind.PROTOCOL}
    return Encryption.SSL if is_mute and failure.stage in {Stage.TLS, Stage.GREET} else None


def _offers(preset: Preset, protocol: Protocol) -> Iterator[Server]:
    main = preset.smtp if protocol is Protocol.SMTP else preset.imap
    for server in (*((main,) if main is not None else ()), *preset.alternatives(protocol)):
        if "{" not in server.host:
            yield server
