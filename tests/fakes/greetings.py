"""Pure: mail servers that refuse at the door, before any login, and those whose hello says too little."""

from typing import Final

from app.codes import Code
from tests.fakes.behaviour import STARTTLS, Behaviour, Script
from tests.fakes.scripted import Do, Step

_NONSENSE: Final = Code.PROTOCOL_ERROR
_LATER: Final = Code.TEMPORARY_SERVER_ERROR
_NO_LOGIN: Final = Code.AUTH_MECHANISM_UNSUPPORTED


def _greets(smtp: bytes, imap: bytes, *more: Step) -> Script:
    """A greeting for each protocol."""
    return lambda scene: [scene.pick(smtp, imap) + b"\r\n", *more]


def _answers(smtp: bytes, imap: bytes, *more: Step) -> Script:
    """An answer to the hello, under TLS where there is any."""
    return lambda scene: [*scene.secured(), scene.hello, scene.pick(smtp, imap) + b"\r\n", *more]


def _answers_in_clear(smtp: bytes, imap: bytes, *more: Step) -> Script:
    """An answer to the hello before STARTTLS."""
    return lambda scene: [scene.greeting, scene.hello, scene.pick(smtp, imap) + b"\r\n", *more]


GREETINGS: Final = (
    Behaviour(
        "too busy at the door",
        _greets(b"421 4.3.2 Service not available, try again later", b"* BYE [UNAVAILABLE] Try again later"),
        _LATER,
        _LATER,
    ),
    Behaviour(
        "too many connections at the door",
        _greets(b"421 4.7.0 Too many concurrent SMTP connections", b"* BYE Too many connections"),
        Code.TOO_MANY_CONNECTIONS,
        Code.TOO_MANY_CONNECTIONS,
    ),
    Behaviour(
        "too fast at the door",
        _greets(
            b"421 4.7.0 You connect too fast, slow down please",
            b"* BYE connection rate from your ip or network too high, slow down please",
        ),
        Code.RATE_LIMITED,
        Code.RATE_LIMITED,
    ),
    Behaviour(
        "blocks our address at the door",
        _greets(
            b"554 5.7.1 Service unavailable; Client host [203.0.113.9] blocked",
            b"* BYE Your IP address 203.0.113.9 is blocked",
        ),
        Code.IP_BLOCKED,
        Code.IP_BLOCKED,
    ),
    Behaviour(
        "says no at the door and stays", _greets(b"554 no", b"* BYE", Do.HANG), Code.IP_BLOCKED, Code.CONNECTION_CLOSED
    ),
    Behaviour("refuses for now at the door", _greets(b"450 4.3.2 Not now", b"* BYE [INUSE] Not now"), _LATER, _LATER),
    Behaviour(
        "says goodbye after its greeting",
        _greets(b"220 mail\r\n421 4.3.2 Too busy", b"* OK mail\r\n* BYE [UNAVAILABLE] Too busy"),
        Code.CONNECTION_CLOSED,
        _LATER,
    ),
    Behaviour("has somebody logged in already", _greets(b"", b"* PREAUTH welcome back", Do.HANG), None, _NONSENSE),
    Behaviour("refuses before it has greeted", _greets(b"", b"* NO [ALERT] closed", Do.HANG), None, _NONSENSE),
    Behaviour(
        "knows no hello",
        _answers(b"502 5.5.1 Command not implemented", b"TAG BAD unknown command", Do.HANG),
        _NO_LOGIN,
        _NONSENSE,
    ),
    Behaviour(
        "refuses the hello",
        _answers(b"550 5.7.1 Access denied", b"TAG NO not for you", Do.HANG),
        Code.IP_BLOCKED,
        Code.UNCLASSIFIED,
    ),
    Behaviour(
        "too busy at the hello",
        _answers(b"421 4.3.0 Too busy, come back later", b"* BYE [UNAVAILABLE] Too busy\r\nTAG NO too busy"),
        _LATER,
        _LATER,
    ),
    Behaviour(
        "answers the hello with a challenge", _answers(b"334 ", b"+ go on", Do.HANG), _NONSENSE, Code.CONNECTION_TIMEOUT
    ),
    Behaviour("answers the hello with goodbye", _answers(b"221 bye", b"* BYE"), _NONSENSE, Code.CONNECTION_CLOSED),
    Behaviour("offers nothing", _answers(b"250 mail.example.com", b"TAG OK done", Do.HANG), _NO_LOGIN, _NONSENSE),
    Behaviour(
        "offers nothing before STARTTLS",
        _answers_in_clear(b"250 mail.example.com", b"* CAPABILITY IMAP4rev1\r\nTAG OK done", Do.HANG),
        Code.STARTTLS_UNSUPPORTED,
        Code.STARTTLS_UNSUPPORTED,
        ways=(STARTTLS,),
    ),
    Behaviour(
        "too busy before STARTTLS",
        _answers_in_clear(b"421 4.3.0 Too busy, come back later", b"* BYE [UNAVAILABLE] Too busy"),
        _LATER,
        _LATER,
        ways=(STARTTLS,),
    ),
)
