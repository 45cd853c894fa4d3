"""Pure: servers that play tricks within one way of logging in."""

import base64
from typing import Final

from app.codes import Code
from tests.fakes.acts import answer_whether, insist
from tests.fakes.behaviour import PASSWORD, USERNAME, Behaviour, Scene, Script
from tests.fakes.scripted import Do, Peer, Step

_WRONG: Final = Code.INVALID_CREDENTIALS
_NONSENSE: Final = Code.PROTOCOL_ERROR
_UNKNOWN: Final = Code.AUTH_NO_ANSWER
_BLOB: Final = base64.b64encode(f"\0{USERNAME}\0{PASSWORD}".encode())
_NO: Final = (b"535 5.7.8 Authentication failed\r\n", b"TAG NO [AUTHENTICATIONFAILED] Authentication failed\r\n")


def _smtp(mechanism: bytes, *steps: Step) -> Script:
    """Offer one mechanism over SMTP, hear it asked for, and go on like this."""
    return lambda scene: [*scene.ready(b"AUTH " + mechanism), f"AUTH {mechanism.decode()}", *steps]


def _imap(offers: bytes, command: str, *steps: Step) -> Script:
    return lambda scene: [*scene.ready(offers), command, *steps]


def _plain_in_two(*steps: Step) -> Script:
    """IMAP without SASL-IR: the password is due only after a `+`."""
    return _imap(b"AUTH=PLAIN", "AUTHENTICATE PLAIN", *steps)


def _yes(scene: Scene) -> list[Step]:
    """An IMAP session that goes well after its one LOGIN."""
    return [*scene.ready(b"ID"), "LOGIN", b"TAG OK welcome\r\n", 'ID ("name"', b"TAG BAD what\r\n", *scene.look()]


def _no_name_in_advance(scene: Scene) -> list[Step]:
    """A session that goes well with those who wait to be asked for the name."""

    async def judge(peer: Peer) -> None:
        is_bare = len(peer.lines[-1].split()) == 2
        await peer.send(b"334 VXNlcm5hbWU6\r\n" if is_bare else b"501 5.5.4 Syntax: AUTH mechanism\r\n")

    rest: list[Step] = ["", b"334 UGFzc3dvcmQ6\r\n", "", b"235 2.7.0 welcome\r\n", *scene.look()]
    return [*scene.ready(b"AUTH LOGIN"), "AUTH LOGIN", judge, *rest]


def _asks_again(scene: Scene) -> list[Step]:
    """A session that goes well though the server has not heard what came with the command."""
    yes = scene.pick(b"235 2.7.0 welcome\r\n", b"TAG OK welcome\r\n")
    verdict = answer_whether(_BLOB, yes, scene.pick(*_NO))
    return [*scene.asked(), scene.pick(b"334 \r\n", b"+ \r\n"), verdict, *scene.look()]


MECHANISMS: Final = (
    Behaviour(
        "CRAM-MD5: challenge that is no base64", _smtp(b"CRAM-MD5", b"334 !!!\xff\r\n", Do.HANG), _NONSENSE, None, 1
    ),
    Behaviour("CRAM-MD5: empty challenge", _smtp(b"CRAM-MD5", b"334 \r\n", "", _NO[0], Do.HANG), _WRONG, None, 1),
    Behaviour("CRAM-MD5: silence", _smtp(b"CRAM-MD5", b"334 PDE+\r\n", Do.HANG), _UNKNOWN, None, 1),
    Behaviour("CRAM-MD5: yes without a question", _smtp(b"CRAM-MD5", b"235 yes\r\n", Do.HANG), _NONSENSE, None, 1),
    Behaviour("LOGIN: prompts of junk", _smtp(b"LOGIN", b"334 \xff!\r\n", "", _NO[0], Do.HANG), _WRONG, None, 1),
    Behaviour(
        "LOGIN: asks for the name twice",
        _smtp(b"LOGIN", b"334 VXNlcm5hbWU6\r\n", "", b"334 UGFzc3dvcmQ6\r\n", "", _NO[0], Do.HANG),
        _WRONG,
        None,
        1,
    ),
    Behaviour("LOGIN: takes no name in advance", _no_name_in_advance, Code.OK, None, 1),
    Behaviour("LOGIN: prompts without end", _smtp(b"LOGIN", b"334 VXNlcm5hbWU6\r\n", insist), _NONSENSE, None, 1),
    Behaviour("LOGIN: yes before the password", _smtp(b"LOGIN", b"235 yes\r\n", Do.HANG), _NONSENSE, None, 1),
    Behaviour("LOGIN: refuses the name", _smtp(b"LOGIN", _NO[0], Do.HANG), _WRONG, None, 1),
    Behaviour(
        "LOGIN: closes before the password", _smtp(b"LOGIN", b"334 UGFzc3dvcmQ6\r\n", Do.CLOSE), _UNKNOWN, None, 1
    ),
    Behaviour("PLAIN in two: yes before the password", _plain_in_two(b"TAG OK yes\r\n", Do.HANG), None, _NONSENSE, 1),
    Behaviour("PLAIN in two: no before the password", _plain_in_two(_NO[1], Do.HANG), None, _WRONG, 1),
    Behaviour("PLAIN in two: junk for a challenge", _plain_in_two(b"+ \xff\xfe!\r\n", insist), None, _NONSENSE, 1),
    Behaviour("PLAIN in two: closes", _plain_in_two(b"+\r\n", Do.CLOSE), None, _UNKNOWN, 1),
    Behaviour("PLAIN in one: asks for it all the same", _asks_again, Code.OK, Code.OK, 1),
    Behaviour("LOGIN command: yes", _yes, None, Code.OK, 1),
    Behaviour("LOGIN command: no", _imap(b"X-NONE", "LOGIN", _NO[1], Do.HANG), None, _WRONG, 1),
    Behaviour("LOGIN command: asks for more", _imap(b"X-NONE", "LOGIN", b"+ more\r\n", insist), None, _NONSENSE, 1),
    Behaviour(
        "LOGIN command: sends back what it got",
        _imap(b"X-NONE", "LOGIN", b'* BAD LOGIN "info@example.com" "correct-horse-7"\r\n' + _NO[1], Do.HANG),
        None,
        _WRONG,
        1,
    ),
)
