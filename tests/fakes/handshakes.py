"""Pure: servers whose TLS goes wrong: STARTTLS refused or stripped, words slipped in before the handshake, bad
certificates, old versions, and what is no TLS at all.
"""

from typing import Final

from app.codes import Code
from tests.fakes.acts import alert, pause, shake
from tests.fakes.behaviour import SSL, STARTTLS, UNDER_TLS, Behaviour, Scene, Script
from tests.fakes.scripted import Do, Peer, Step

_NONSENSE: Final = Code.PROTOCOL_ERROR
_NO_STARTTLS: Final = Code.STARTTLS_UNSUPPORTED
_MISMATCH: Final = Code.TLS_MODE_MISMATCH
_OLD: Final = Code.TLS_PROTOCOL_UNSUPPORTED
_CONSENTED: Final = (STARTTLS,)

_ANY_NUMBER_OF_BYTES: Final = b"\x17\x42" * 200
_RECORD_TOO_LONG: Final = b"\x16\x03\x03\xff\xff" + b"\0" * 200


def _instead_of_a_handshake(*steps: Step) -> Script:
    """Take the client's first words of TLS, and answer them with something else."""
    return lambda scene: [*(scene.consented() if scene.encryption is STARTTLS else []), Do.READ, *steps]


def _refuses_starttls(smtp: bytes, imap: bytes) -> Script:
    return lambda scene: [*scene.consented()[:-1], scene.pick(smtp, imap) + b"\r\n", Do.HANG]


def _slips_in(scene: Scene) -> list[Step]:
    go = scene.pick(b"220 go ahead\r\n250 AUTH PLAIN\r\n", b"TAG OK go ahead\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n")
    return [*scene.consented()[:-1], go, Do.STARTTLS, *scene.ready()[-2:], Do.HANG]


def _goes_on_in_clear(scene: Scene) -> list[Step]:
    return [*scene.consented(), pause, scene.offers(scene.logins), Do.HANG]


def _offers_it_twice(scene: Scene) -> list[Step]:
    return [*scene.ready(b"STARTTLS", scene.logins), scene.login, scene.inside()[-1], *scene.look()]


async def _shakes(peer: Peer) -> None:
    assert peer.tls is not None
    await shake(peer.tls)(peer)


def _handshake_of_its_own(scene: Scene) -> list[Step]:
    return [*(scene.consented() if scene.encryption is STARTTLS else []), _shakes, Do.HANG]


async def _clear_after_the_handshake(peer: Peer) -> None:
    await _shakes(peer)
    await pause(peer)
    await peer.send(b"220 250 * OK and in clear again\r\n" * 4)


HANDSHAKES: Final = (
    Behaviour(
        "refuses STARTTLS for now",
        _refuses_starttls(b"451 4.3.0 Try again later", b"TAG NO [UNAVAILABLE] not now"),
        Code.TEMPORARY_SERVER_ERROR,
        Code.TEMPORARY_SERVER_ERROR,
        ways=_CONSENTED,
    ),
    Behaviour(
        "has no TLS at the moment",
        _refuses_starttls(b"454 4.7.0 TLS not available due to temporary reason", b"TAG NO TLS is not available"),
        _NO_STARTTLS,
        _NO_STARTTLS,
        ways=_CONSENTED,
    ),
    Behaviour(
        "refuses the STARTTLS it offered",
        _refuses_starttls(b"502 5.5.1 Command not implemented", b"TAG BAD Unknown command"),
        _NO_STARTTLS,
        _NO_STARTTLS,
        ways=_CONSENTED,
    ),
    Behaviour(
        "refuses STARTTLS without a reason",
        _refuses_starttls(b"554 no", b"TAG NO no"),
        _NO_STARTTLS,
        _NO_STARTTLS,
        ways=_CONSENTED,
    ),
    Behaviour(
        "answers STARTTLS with the wrong number",
        _refuses_starttls(b"250 fine", b"TAG FINE go ahead"),
        _NONSENSE,
        _NONSENSE,
        ways=_CONSENTED,
    ),
    Behaviour(
        "strips STARTTLS",
        lambda scene: [scene.greeting, scene.hello, scene.offers(scene.logins), Do.HANG],
        _NO_STARTTLS,
        _NO_STARTTLS,
        ways=_CONSENTED,
    ),
    Behaviour("slips words in before the handshake", _slips_in, _NONSENSE, _NONSENSE, ways=_CONSENTED),
    Behaviour("agrees to TLS and goes on in clear", _goes_on_in_clear, _NO_STARTTLS, _NO_STARTTLS, ways=_CONSENTED),
    Behaviour("offers STARTTLS under TLS", _offers_it_twice, Code.OK, Code.OK, 1, ways=UNDER_TLS),
    Behaviour(
        "answers the handshake with any bytes",
        _instead_of_a_handshake(_ANY_NUMBER_OF_BYTES, Do.HANG),
        _MISMATCH,
        _MISMATCH,
        ways=(SSL,),
        is_raw=True,
    ),
    Behaviour(
        "answers the handshake with a record too long",
        _instead_of_a_handshake(_RECORD_TOO_LONG, Do.HANG),
        _MISMATCH,
        _MISMATCH,
        ways=(SSL,),
        is_raw=True,
    ),
    Behaviour(
        "agrees to TLS and sends any bytes",
        _instead_of_a_handshake(_ANY_NUMBER_OF_BYTES, Do.HANG),
        _NO_STARTTLS,
        _NO_STARTTLS,
        ways=_CONSENTED,
    ),
    Behaviour(
        "alert: handshake failure",
        _instead_of_a_handshake(alert(40), Do.HANG),
        _OLD,
        _OLD,
        ways=UNDER_TLS,
        is_raw=True,
    ),
    Behaviour(
        "alert: internal error",
        _instead_of_a_handshake(alert(80), Do.HANG),
        _OLD,
        _OLD,
        ways=UNDER_TLS,
        is_raw=True,
    ),
    Behaviour(
        "alert: no such name",
        _instead_of_a_handshake(alert(112), Do.HANG),
        _OLD,
        _OLD,
        ways=UNDER_TLS,
        is_raw=True,
    ),
    Behaviour("old TLS only", _handshake_of_its_own, _OLD, _OLD, ways=UNDER_TLS, is_raw=True, certificate="old"),
    Behaviour("weak ciphers only", _handshake_of_its_own, _OLD, _OLD, ways=UNDER_TLS, is_raw=True, certificate="weak"),
    Behaviour(
        "wants a certificate of ours",
        _handshake_of_its_own,
        _OLD,
        _OLD,
        ways=UNDER_TLS,
        is_raw=True,
        certificate="strict",
    ),
    Behaviour(
        "falls back to clear after the handshake",
        lambda scene: [
            *(scene.consented() if scene.encryption is STARTTLS else []),
            _clear_after_the_handshake,
            Do.HANG,
        ],
        _NONSENSE,
        _NONSENSE,
        ways=UNDER_TLS,
        is_raw=True,
    ),
    *(
        Behaviour(
            f"certificate: {name}",
            lambda scene: [*scene.ready(), scene.login, Do.HANG],
            code,
            code,
            ways=UNDER_TLS,
            certificate=name,
        )
        for name, code in (
            ("expired", Code.TLS_CERT_EXPIRED),
            ("self-signed", Code.TLS_CERT_UNTRUSTED),
            ("other name", Code.TLS_HOSTNAME_MISMATCH),
        )
    ),
)
