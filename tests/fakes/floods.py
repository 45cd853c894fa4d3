"""Pure: servers that send more than anyone has to say: they must cost neither memory nor time."""

from typing import Final

from app.codes import Code
from tests.fakes.acts import crumble, flood, insist
from tests.fakes.behaviour import Behaviour, Scene
from tests.fakes.scripted import Step

_NONSENSE: Final = Code.PROTOCOL_ERROR

_FOLDER: Final = b'* LIST (\\HasNoChildren) "/" "a folder of many"\r\n'
_LONG_FOLDER: Final = b'* LIST (\\HasNoChildren) "/" "' + b"folder " * 500 + b'"\r\n'
"""So that the limit is reached before the short deadlines of the zoo."""


def _thousand_lines(scene: Scene) -> list[Step]:
    more = scene.pick(b"250-X-NOTHING\r\n", b"* OK still here\r\n") * 1000
    return [*scene.secured(), scene.hello, more + scene.offers(scene.logins), scene.login, *scene.inside()[-1:]]


def _challenges(scene: Scene) -> list[Step]:
    return [*scene.asked(), scene.pick(b"334 b25jZQ==\r\n", b"+ b25jZQ==\r\n"), insist]


FLOODS: Final = (
    Behaviour(
        "greets in a line without end",
        lambda scene: [scene.greeting.rstrip(), flood(b"x")],
        _NONSENSE,
        _NONSENSE,
    ),
    Behaviour(
        "greets in lines without end",
        lambda scene: [flood(scene.pick(b"220-again\r\n", b"* OK again\r\n"))],
        _NONSENSE,
        _NONSENSE,
    ),
    Behaviour("empty lines without end", lambda _: [flood(b"\r\n")], _NONSENSE, _NONSENSE),
    Behaviour("zeros without end", lambda _: [flood(b"\0")], _NONSENSE, _NONSENSE),
    Behaviour(
        "offers in a line without end",
        lambda scene: [*scene.secured(), scene.hello, scene.pick(b"250-", b"* CAPABILITY "), flood(b"AUTH=PLAIN ")],
        _NONSENSE,
        _NONSENSE,
    ),
    Behaviour(
        "offers in lines without end",
        lambda scene: [*scene.secured(), scene.hello, flood(scene.pick(b"250-AUTH X\r\n", b"* CAPABILITY X\r\n"))],
        _NONSENSE,
        _NONSENSE,
    ),
    Behaviour(
        "offers a thousand lines in one packet",
        lambda scene: [*_thousand_lines(scene), *scene.look()],
        Code.OK,
        Code.OK,
        1,
    ),
    Behaviour(
        "answers the login in a line without end",
        lambda scene: [*scene.asked(), scene.pick(b"535 ", b"TAG NO "), flood(b"no ")],
        _NONSENSE,
        _NONSENSE,
        1,
    ),
    Behaviour(
        "answers the login in lines without end",
        lambda scene: [*scene.asked(), flood(scene.pick(b"535-no\r\n", b"* NO no\r\n"))],
        _NONSENSE,
        _NONSENSE,
        1,
    ),
    Behaviour("challenges without end", _challenges, _NONSENSE, _NONSENSE, 1),
    Behaviour("giant literal", lambda scene: [*scene.secured(), b"* OK {999999999}\r\n", flood(b"x")], None, _NONSENSE),
    Behaviour("literals without end", lambda scene: [scene.greeting, flood(b"{3}\r\nabc")], None, _NONSENSE),
    Behaviour(
        "literal of an absurd length",
        lambda scene: [*scene.secured(), "CAPABILITY", b"* OK {" + b"9" * 17000 + b"}\r\n"],
        None,
        _NONSENSE,
    ),
    Behaviour(
        "five thousand folders",
        lambda scene: [*scene.inside(), *scene.folders(_FOLDER * 5000 + b"TAG OK listed\r\n")],
        None,
        Code.OK,
        1,
    ),
    Behaviour("folders without end", lambda scene: [*scene.inside(), "LIST", flood(_LONG_FOLDER)], None, _NONSENSE, 1),
    Behaviour(
        "messages announced without end",
        lambda scene: [*scene.inside(), "LIST", b"TAG OK\r\n", "EXAMINE", flood(b"* OK " + b"3 " * 2000 + b"\r\n")],
        None,
        _NONSENSE,
        1,
    ),
    Behaviour(
        "every byte a packet",
        lambda scene: [
            crumble(step) if isinstance(step, bytes) and index > 4 else step
            for index, step in enumerate([*scene.inside(), *scene.look()])
        ],
        Code.OK,
        Code.OK,
        1,
    ),
)
