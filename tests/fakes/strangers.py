"""Pure: what is no mail server, or not the one that was asked for."""

from typing import Final

from app.codes import Code
from tests.fakes.acts import alert, echo
from tests.fakes.behaviour import NONE, SSL, STARTTLS, Behaviour, Scene
from tests.fakes.scripted import Do, Step

_NONSENSE: Final = Code.PROTOCOL_ERROR
_SLOW: Final = Code.CONNECTION_TIMEOUT
_MISMATCH: Final = Code.TLS_MODE_MISMATCH

WEB_ANSWER: Final = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nConnection: close\r\n\r\n"
_SSH: Final = b"SSH-2.0-OpenSSH_9.2p1\r\n"
_POP3: Final = b"+OK POP3 server ready\r\n"
_DATABASE: Final = b"J\0\0\0\n8.0.36\0\x0b\0\0\0\x1f\x8a\n"
_SIEVE: Final = b'"IMPLEMENTATION" "Sieve of example.com"\r\n"SASL" "PLAIN"\r\nOK "ready"\r\n'


def _other_protocol(scene: Scene) -> list[Step]:
    return [scene.pick(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\n", b"220 mail.example.com ESMTP\r\n"), Do.HANG]


def _greets_and_echoes(scene: Scene) -> list[Step]:
    return [*scene.secured(), echo]


def _echoes_the_login(scene: Scene) -> list[Step]:
    return [*scene.ready(), echo]


def _speaks(first: bytes, refusal: bytes) -> list[Step]:
    """Greet in a foreign tongue that begins like SMTP, and refuse whatever comes."""
    return [first, "", refusal, Do.HANG]


STRANGERS: Final = (
    Behaviour("web server that waits to be asked", lambda _: [Do.READ, WEB_ANSWER], _SLOW, _SLOW),
    Behaviour("web server that complains", lambda _: [WEB_ANSWER], _NONSENSE, _NONSENSE),
    Behaviour("secure shell", lambda _: [_SSH, Do.HANG], _NONSENSE, _NONSENSE),
    Behaviour("post office (POP3)", lambda _: [_POP3, Do.HANG], _NONSENSE, _NONSENSE),
    Behaviour("the other mail protocol", _other_protocol, _NONSENSE, _NONSENSE),
    Behaviour("database", lambda _: [_DATABASE, Do.HANG], _NONSENSE, _NONSENSE),
    Behaviour("sieve", lambda _: [_SIEVE, Do.HANG], _NONSENSE, _NONSENSE),
    Behaviour("telnet", lambda _: [b"\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23login: ", Do.HANG], _SLOW, _SLOW),
    Behaviour("clock", lambda _: [b"21 NOV 2026 07:00:00 UTC\r\n"], _NONSENSE, _NONSENSE),
    Behaviour(
        "file server (FTP)",
        lambda _: _speaks(b"220 (vsFTPd 3.0.5)\r\n", b"530 Please login with USER and PASS.\r\n"),
        _NONSENSE,
        _NONSENSE,
    ),
    Behaviour(
        "file server (FTP) that knows no EHLO",
        lambda _: _speaks(b"220 ProFTPD Server ready.\r\n", b"500 EHLO not understood\r\n"),
        _NONSENSE,
        _NONSENSE,
    ),
    Behaviour(
        "news server (NNTP)",
        lambda _: _speaks(b"200 news.example.com InterNetNews server ready\r\n", b"500 What?\r\n"),
        _NONSENSE,
        _NONSENSE,
    ),
    Behaviour(
        "local delivery (LMTP)",
        lambda _: _speaks(b"220 mail.example.com LMTP\r\n", b"500 5.5.1 Expected LHLO\r\n"),
        _NONSENSE,
        _NONSENSE,
    ),
    Behaviour("echoes from the first byte", lambda _: [echo], _SLOW, _SLOW),
    Behaviour("greets and echoes", _greets_and_echoes, _NONSENSE, _NONSENSE),
    Behaviour("echoes the login", _echoes_the_login, _NONSENSE, _NONSENSE, 1),
    Behaviour(
        "mail server in clear where TLS is expected",
        lambda scene: [scene.greeting, Do.HANG],
        _MISMATCH,
        _MISMATCH,
        ways=(SSL,),
        is_raw=True,
    ),
    Behaviour(
        "web server in clear where TLS is expected",
        lambda _: [Do.READ, WEB_ANSWER],
        _MISMATCH,
        _MISMATCH,
        ways=(SSL,),
        is_raw=True,
    ),
    Behaviour(
        "secure shell where TLS is expected", lambda _: [_SSH, Do.HANG], _MISMATCH, _MISMATCH, ways=(SSL,), is_raw=True
    ),
    Behaviour(
        "TLS alert where a greeting is expected",
        lambda _: [Do.READ, alert(70)],
        _SLOW,
        _SLOW,
        ways=(NONE, STARTTLS),
    ),
    Behaviour(
        "TLS alert in place of a greeting", lambda _: [alert(40), Do.HANG], _MISMATCH, _MISMATCH, ways=(NONE, STARTTLS)
    ),
    Behaviour(
        "TLS alert in place of a greeting, then gone",
        lambda _: [alert(40)],
        _MISMATCH,
        _MISMATCH,
        ways=(NONE, STARTTLS),
    ),
    Behaviour(
        "TLS where the hello is answered",
        lambda scene: [scene.greeting, scene.hello, alert(10), Do.HANG],
        _MISMATCH,
        _MISMATCH,
        ways=(NONE, STARTTLS),
    ),
)
