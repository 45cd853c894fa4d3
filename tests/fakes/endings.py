"""Pure: servers that hang up at every point of a session, by closing or by a reset."""

from typing import Final

from app.codes import Code
from tests.fakes.acts import shake
from tests.fakes.behaviour import STARTTLS, UNDER_TLS, Behaviour, Scene
from tests.fakes.scripted import Do, Peer, Step

_GONE: Final = Code.CONNECTION_CLOSED
_UNKNOWN: Final = Code.AUTH_NO_ANSWER


async def _half_a_handshake(peer: Peer) -> None:
    assert peer.tls is not None
    await shake(peer.tls, most=80)(peer)


def _in_the_handshake(scene: Scene) -> list[Step]:
    return [*(scene.consented() if scene.encryption is STARTTLS else []), _half_a_handshake]


def _after_the_hello_of_the_handshake(scene: Scene) -> list[Step]:
    return [*(scene.consented() if scene.encryption is STARTTLS else []), Do.READ]


def _in_the_offers(scene: Scene) -> list[Step]:
    return [*scene.secured(), scene.hello, scene.offers(scene.logins)[:25]]


def _after_a_challenge(scene: Scene) -> list[Step]:
    offers = scene.pick(b"AUTH PLAIN", b"AUTH=PLAIN")
    return [*scene.ready(offers), scene.login, scene.pick(b"334 \r\n", b"+ \r\n"), ""]


def _in_the_verdict(scene: Scene) -> list[Step]:
    return [*scene.asked(), scene.pick(b"235-2.7.0 wel\r\n235 2.7", b"TAG OK wel")]


def _in_the_folders(scene: Scene) -> list[Step]:
    return [*scene.inside(), "LIST", b'* LIST () "/" INBOX\r\nTAG OK listed\r\n', "EXAMINE"]


def _endings(verb: str, end: Do) -> tuple[Behaviour, ...]:
    return (
        Behaviour(f"{verb} at once", lambda _: [end], _GONE, _GONE),
        Behaviour(f"{verb} in its greeting", lambda scene: [scene.greeting[:9], end], _GONE, _GONE),
        Behaviour(f"{verb} after its greeting", lambda scene: [*scene.secured(), end], _GONE, _GONE),
        Behaviour(f"{verb} at the hello", lambda scene: [*scene.secured(), scene.hello, end], _GONE, _GONE),
        Behaviour(f"{verb} in its offers", lambda scene: [*_in_the_offers(scene), end], _GONE, _GONE),
        Behaviour(f"{verb} at STARTTLS", lambda scene: [*scene.consented()[:-1], end], _GONE, _GONE, ways=(STARTTLS,)),
        Behaviour(
            f"{verb} at the handshake",
            lambda scene: [*_after_the_hello_of_the_handshake(scene), end],
            _GONE,
            _GONE,
            ways=UNDER_TLS,
            is_raw=True,
        ),
        Behaviour(
            f"{verb} in the handshake",
            lambda scene: [*_in_the_handshake(scene), end],
            _GONE,
            _GONE,
            ways=UNDER_TLS,
            is_raw=True,
        ),
        Behaviour(f"{verb} at the login", lambda scene: [*scene.asked(), end], _UNKNOWN, _UNKNOWN, 1),
        Behaviour(
            f"{verb} after its challenge", lambda scene: [*_after_a_challenge(scene), end], _UNKNOWN, _UNKNOWN, 1
        ),
        Behaviour(f"{verb} in its verdict", lambda scene: [*_in_the_verdict(scene), end], _UNKNOWN, _UNKNOWN, 1),
        Behaviour(f"{verb} after the login", lambda scene: [*scene.inside(), end], Code.OK, _GONE, 1),
        Behaviour(f"{verb} in the folders", lambda scene: [*_in_the_folders(scene), end], None, _GONE, 1),
    )


ENDINGS: Final = (*_endings("closes", Do.CLOSE), *_endings("resets", Do.RESET))
