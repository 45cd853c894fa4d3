"""Pure: servers that say nothing, or too little at a time; each must cost a deadline and not more."""

from typing import Final

from app.codes import Code
from tests.fakes.acts import drip
from tests.fakes.behaviour import NONE, STARTTLS, UNDER_TLS, Behaviour, Scene
from tests.fakes.scripted import Do, Step

_SLOW: Final = Code.CONNECTION_TIMEOUT
_UNKNOWN: Final = Code.AUTH_NO_ANSWER


def _handshake_that_never_begins(scene: Scene) -> list[Step]:
    return [*scene.consented(), Do.HANG] if scene.encryption is STARTTLS else [Do.HANG]


def _bye_and_silence(scene: Scene) -> list[Step]:
    words = b"Too many connections from your address\r\n"
    return [*scene.secured(), scene.hello, scene.pick(b"421 4.7.0 ", b"* BYE ") + words, Do.HANG]


def _challenge_and_silence(scene: Scene) -> list[Step]:
    offers = scene.pick(b"AUTH PLAIN", b"AUTH=PLAIN")
    return [*scene.ready(offers), scene.login, scene.pick(b"334 \r\n", b"+ \r\n"), "", Do.HANG]


SILENCE: Final = (
    Behaviour("never speaks", lambda _: [Do.HANG], _SLOW, _SLOW),
    Behaviour("drips its greeting", lambda scene: [drip(scene.greeting.rstrip())], _SLOW, _SLOW),
    Behaviour("stops in the middle of its greeting", lambda scene: [scene.greeting[:9], Do.HANG], _SLOW, _SLOW),
    Behaviour(
        "greets in many lines and never ends",
        lambda scene: [scene.pick(b"220-mail\r\n220-welcome\r\n", b"* OK"), Do.HANG],
        _SLOW,
        _SLOW,
    ),
    Behaviour("silent after its greeting", lambda scene: [*scene.secured(), scene.hello, Do.HANG], _SLOW, _SLOW),
    Behaviour(
        "drips what it offers", lambda scene: [*scene.secured(), scene.hello, drip(scene.offers())], _SLOW, _SLOW
    ),
    Behaviour(
        "offers without an ending",
        lambda scene: [*scene.secured(), scene.hello, scene.pick(b"250-mail\r\n", b"* CAPABILITY IMAP4\r\n"), Do.HANG],
        _SLOW,
        _SLOW,
    ),
    Behaviour("silent to STARTTLS", lambda scene: [*scene.consented()[:-1], Do.HANG], _SLOW, _SLOW, ways=(STARTTLS,)),
    Behaviour("never shakes hands", _handshake_that_never_begins, _SLOW, _SLOW, ways=UNDER_TLS, is_raw=True),
    Behaviour(
        "waits for TLS where none is spoken", lambda _: [Do.HANG], _SLOW, _SLOW, ways=(NONE, STARTTLS), is_tls=True
    ),
    Behaviour("says goodbye and stays", _bye_and_silence, Code.TOO_MANY_CONNECTIONS, Code.TOO_MANY_CONNECTIONS),
    Behaviour("never answers the login", lambda scene: [*scene.asked(), Do.HANG], _UNKNOWN, _UNKNOWN, 1),
    Behaviour("asks for the password and falls silent", _challenge_and_silence, _UNKNOWN, _UNKNOWN, 1),
    Behaviour(
        "drips its verdict",
        lambda scene: [*scene.asked(), drip(scene.pick(b"235 2.7.0 wel", b"TAG OK wel"))],
        _UNKNOWN,
        _UNKNOWN,
        1,
    ),
    Behaviour(
        "stops in the middle of its verdict",
        lambda scene: [*scene.asked(), scene.pick(b"235-2.7.0 welcome\r\n235-", b"TAG OK welcome"), Do.HANG],
        _UNKNOWN,
        _UNKNOWN,
        1,
    ),
    Behaviour("silent after the login", lambda scene: [*scene.inside(), "", Do.HANG], Code.OK, _SLOW, 1),
    Behaviour(
        "announces a folder and never sends it",
        lambda scene: [*scene.inside(), "LIST", b'* LIST () "/" {50}\r\nIN', Do.HANG],
        None,
        _SLOW,
        1,
    ),
    Behaviour("no goodbye", lambda scene: [*scene.inside(), *scene.look()[:-1], Do.HANG], Code.OK, Code.OK, 1),
)
