"""Pure: servers that bend the grammar: what a careful reader forgives, and what nobody can read."""

from typing import Final

from app.codes import Code
from tests.fakes.behaviour import Behaviour, Scene, Script
from tests.fakes.scripted import Do, Step

_NONSENSE: Final = Code.PROTOCOL_ERROR
_SLOW: Final = Code.CONNECTION_TIMEOUT
_WRONG: Final = Code.INVALID_CREDENTIALS
_JUNK: Final = b"\0\x01\x7f\xff\xfe\x80caf\xe9\x1b[31m\xe2\x80\xae"


def _greets(smtp: bytes, imap: bytes) -> Script:
    return lambda scene: [scene.pick(smtp, imap), Do.HANG]


def _offers(smtp: bytes, imap: bytes) -> Script:
    """An answer to the hello that a login must come out of."""
    return lambda scene: [*_until_offers(scene, scene.pick(smtp, imap)), *scene.inside()[-2:], *scene.look()]


def _until_offers(scene: Scene, offers: bytes) -> list[Step]:
    return [*scene.secured(), scene.hello, offers]


def _says_to_login(smtp: bytes, imap: bytes, *more: Step) -> Script:
    return lambda scene: [*scene.asked(), scene.pick(smtp, imap), *(more or (Do.HANG,))]


def _everywhere(change: tuple[bytes, bytes]) -> Script:
    """A good session with something exchanged in every line."""

    def script(scene: Scene) -> list[Step]:
        steps = [*scene.inside(), *scene.look()]
        return [step.replace(*change) if isinstance(step, bytes) else step for step in steps]

    return script


def _bare(scene: Scene) -> list[Step]:
    """No words beyond what the grammar asks for."""
    start: list[Step] = [scene.pick(b"220\r\n", b"* OK\r\n"), *scene.ready()[1:]]
    rest: list[Step] = [scene.login, scene.pick(b"235\r\n", b"TAG OK\r\n")]
    if scene.protocol == "smtp":
        return [*start, *rest, "QUIT", b"221\r\n"]
    return [*start, *rest, "LIST", b"TAG OK\r\n", "EXAMINE", b"TAG OK\r\n", "LOGOUT", b"* BYE\r\nTAG OK\r\n"]


def _lower(scene: Scene) -> list[Step]:
    steps = [*scene.inside(), *scene.look()]
    return [step.lower().replace(b"tag ", b"TAG ") if isinstance(step, bytes) else step for step in steps]


def _yes_in_advance(scene: Scene) -> list[Step]:
    yes = b"220 mail\r\n250 AUTH PLAIN\r\n235 2.7.0 welcome\r\n"
    return [scene.pick(yes, b"* OK mail\r\nA1 OK welcome\r\nK1 OK welcome\r\n"), Do.HANG]


def _two_greetings(scene: Scene) -> list[Step]:
    return [scene.greeting * 2, *scene.inside()[1:], *scene.look()]


def _greets_with_gaps(scene: Scene) -> list[Step]:
    return [b"220-Welcome\r\n\r\n   \r\n" + scene.greeting, *scene.inside()[1:], *scene.look()]


GRAMMAR: Final = (
    Behaviour("bare line feeds", _everywhere((b"\r\n", b"\n")), Code.OK, Code.OK, 1),
    Behaviour("bare carriage returns", _greets(b"220 mail\r", b"* OK mail\r"), _SLOW, _SLOW),
    Behaviour("no words at all", _bare, Code.OK, Code.OK, 1),
    Behaviour("small letters", _lower, Code.OK, Code.OK, 1),
    Behaviour("junk in every line", _everywhere((b"\r\n", b" " + _JUNK + b"\r\n")), Code.OK, None, 1),
    Behaviour(
        "junk in its greeting",
        lambda scene: [scene.greeting[:-2] + _JUNK + b"\r\n", *scene.inside()[1:], *scene.look()],
        Code.OK,
        Code.OK,
        1,
    ),
    Behaviour("junk for a greeting", _greets(_JUNK + b"\r\n", _JUNK + b"\r\n"), _NONSENSE, _NONSENSE),
    Behaviour(
        "junk in its refusal",
        _says_to_login(
            b"535 5.7.8 Authentication failed " + _JUNK + b"\r\n",
            b"TAG NO [AUTHENTICATIONFAILED] Authentication failed " + _JUNK + b"\r\n",
        ),
        _WRONG,
        _WRONG,
        1,
    ),
    Behaviour(
        "formula in its refusal",
        _says_to_login(
            b'535 5.7.8 =HYPERLINK("http://example.com")\r\n', b'TAG NO [AUTHENTICATIONFAILED] =cmd|"/c calc"!A1\r\n'
        ),
        _WRONG,
        _WRONG,
        1,
    ),
    Behaviour("number below nought", _greets(b"-99 what\r\n", b"* -99 what\r\n"), _NONSENSE, _NONSENSE),
    Behaviour("number too large", _greets(b"999 what\r\n", b"* 999 EXISTS\r\n"), _NONSENSE, _NONSENSE),
    Behaviour("number with a line through it", _greets(b"2_0 what\r\n", b"*OK what\r\n"), _NONSENSE, _NONSENSE),
    Behaviour("number cut short", _greets(b"22 what\r\n", b"* O what\r\n"), _NONSENSE, _NONSENSE),
    Behaviour("number with a sign", _greets(b"+22 0\r\n", b"+ OK what\r\n"), _NONSENSE, _NONSENSE),
    Behaviour("empty line first", _greets(b"\r\n220 mail\r\n", b"\r\n* OK mail\r\n"), _NONSENSE, _NONSENSE),
    Behaviour("banner with gaps", _greets_with_gaps, Code.OK, None, 1),
    Behaviour("two greetings", _two_greetings, Code.OK, Code.OK, 1),
    Behaviour("says yes before it was asked", _yes_in_advance, _SLOW, _NONSENSE),
    Behaviour(
        "says yes, then no",
        _says_to_login(b"235 2.7.0 welcome\r\n535 5.7.8 no\r\n", b"TAG OK welcome\r\nTAG NO no\r\n"),
        Code.OK,
        _NONSENSE,
        1,
    ),
    Behaviour(
        "says no, then yes",
        _says_to_login(
            b"535 5.7.8 Authentication failed\r\n235 2.7.0 welcome\r\n",
            b"TAG NO [AUTHENTICATIONFAILED] no\r\nTAG OK welcome\r\n",
        ),
        _WRONG,
        _WRONG,
        1,
    ),
    Behaviour(
        "wrong tag at the hello",
        lambda scene: [*_until_offers(scene, b"* CAPABILITY IMAP4rev1\r\nXTAG OK done\r\n"), Do.HANG],
        None,
        _NONSENSE,
    ),
    Behaviour("wrong tag at the login", _says_to_login(b"", b"XTAG OK welcome\r\n"), None, _NONSENSE, 1),
    Behaviour("no tag at the login", _says_to_login(b"", b"OK welcome\r\n"), None, _NONSENSE, 1),
    Behaviour("answers with a word of its own", _says_to_login(b"", b"TAG FINE welcome\r\n"), None, _NONSENSE, 1),
    Behaviour(
        "changes its number in the middle",
        _says_to_login(b"235-2.7.0 welcome\r\n535 5.7.8 Authentication failed\r\n", b""),
        _WRONG,
        None,
        1,
    ),
    Behaviour(
        "hyphen at the end of the last line",
        _says_to_login(b"235-2.7.0 welcome\r\n", b""),
        Code.AUTH_NO_ANSWER,
        None,
        1,
    ),
    Behaviour(
        "old way of offering logins",
        _offers(b"250-mail\r\n250-AUTH=LOGIN PLAIN\r\n250 SIZE\r\n", b"* CAPABILITY AUTH=PLAIN SASL-IR\r\nTAG OK\r\n"),
        Code.OK,
        Code.OK,
        1,
    ),
    Behaviour(
        "offers the same twice",
        _offers(
            b"250-mail\r\n250-AUTH PLAIN\r\n250-AUTH=PLAIN\r\n250 AUTH PLAIN LOGIN\r\n",
            b"* CAPABILITY X\r\n* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\r\nTAG OK\r\n",
        ),
        Code.OK,
        Code.OK,
        1,
    ),
    Behaviour("offers without its name", _offers(b"250-\r\n250 AUTH PLAIN LOGIN\r\n", b""), Code.OK, None, 1),
    Behaviour(
        "half a line after the last one",
        lambda scene: [*_until_offers(scene, scene.offers(scene.logins) + b"25-"), *scene.inside()[-2:], *scene.look()],
        Code.OK,
        None,
        1,
    ),
    Behaviour(
        "offers with tabs and blanks",
        _offers(
            b"250-mail  \r\n250-AUTH  PLAIN   LOGIN  \r\n250 SIZE\t1\r\n",
            b"* CAPABILITY  IMAP4rev1   SASL-IR  AUTH=PLAIN \r\nTAG OK\r\n",
        ),
        Code.OK,
        Code.OK,
        1,
    ),
)
