"""I/O: one SMTP login, from the greeting to QUIT; stages tls, greet and auth of the line.

It speaks through aiosmtplib's protocol class and never calls its `login()`, which tries one mechanism after the
other and makes three failed logins of one wrong password. Exactly one AUTH is ever sent.

    220 mail.example.com ESMTP
    250-AUTH PLAIN LOGIN
    235 2.7.0 Authentication successful
"""

import asyncio
import base64
import binascii
import re
import socket
import ssl
from typing import Final

from aiosmtplib.auth import auth_crammd5_verify, auth_login_encode, auth_plain_encode, auth_xoauth2_encode
from aiosmtplib.errors import SMTPAuthenticationError, SMTPResponseException
from aiosmtplib.response import SMTPResponse

from app.checked import Certificate, Failure, FailureKind, Reply
from app.login.certificate import read_facts, read_unverified
from app.login.connect import take_over
from app.login.failure import Stopped
from app.login.offers import read_extensions
from app.login.pin import KnownServer
from app.login.reply import parse_smtp_reply
from app.login.resolve import to_ascii
from app.login.resume import ResumingLink
from app.login.smtp_wire import SmtpWire
from app.login.trace import Trail
from app.model import Encryption, Login, Mechanism, Stage
from app.text import clean_text, list_needles

COMMAND_LIMIT_BYTES = 510
"""RFC 5321, section 4.5.3.1.4, and RFC 4954, section 4: a longer initial response goes on a line of its own."""

# CRAM-MD5 last: servers that keep hashed passwords offer it and always refuse.
_PASSWORD_MECHANISMS: Final = (Mechanism.PLAIN, Mechanism.LOGIN, Mechanism.CRAM_MD5)
_TOKEN_MECHANISMS: Final = (Mechanism.XOAUTH2, Mechanism.OAUTHBEARER)
_HOST_NAME: Final = re.compile(r"(?=.{4,253}$)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


class SmtpSession:
    """One check's way through an SMTP server; every method is a step, and raises when the check ends there."""

    def __init__(self, sock: socket.socket, login: Login, trail: Trail, hostname: str) -> None:
        self._sock = sock
        self._login = login
        self._trail = trail
        self._name = ""
        self._hello = _hello_name(hostname, sock)
        self._wire = SmtpWire(asyncio.get_running_loop())
        self._link: asyncio.Transport | None = None
        self._is_taken = False
        self._is_mute = False
        self._extensions: frozenset[str] = frozenset()
        self._mechanisms: frozenset[str] = frozenset()
        self.needles: tuple[str, ...] = ()
        """What the server must not be quoted with, once it has been sent."""

    async def secure(self, context: ssl.SSLContext, known: KnownServer | None = None) -> None:
        """Bring the connection to the point where credentials may be sent: TLS stands, unless none is asked for.

        `known`: the server, where its session is to be taken up.
        """
        self._name = to_ascii(self._login.server.host)
        self._is_taken = True
        match self._login.server.encryption:
            case Encryption.SSL:
                self._trail.enter(Stage.TLS)
                await self._open(context, known)
            case Encryption.STARTTLS:
                self._trail.enter(Stage.GREET)
                await self._open(None)
                await self._read_greeting()
                await self._say_hello()
                self._trail.enter(Stage.TLS)
                if "starttls" not in self._extensions:
                    raise Stopped(Failure(FailureKind.STARTTLS_MISSING, Stage.TLS))
                await self._wire.encrypt(context, self._name, known)
                self._link = self._wire.link
            case Encryption.NONE:
                self._trail.enter(Stage.GREET)
                await self._open(None)

    async def greet(self) -> None:
        """Read the greeting, if it was not read before TLS, and learn what the server offers."""
        self._trail.enter(Stage.GREET)
        if self._link is not None:
            self._trail.tls_version, self._trail.certificate = read_facts(self._link)
        if self._login.server.encryption is not Encryption.STARTTLS:
            await self._read_greeting()
        await self._say_hello()

    async def log_in(self) -> Reply:
        """Send the credentials, once. Returns the server's consent."""
        self._trail.enter(Stage.AUTH)
        if not self._trail.tls_version and self._login.server.encryption is not Encryption.NONE:
            raise Stopped(Failure(FailureKind.OURS, Stage.AUTH, detail="no TLS under a login that asked for it"))
        mechanism = self._choose()
        self._trail.mechanism = mechanism
        self.needles = list_needles(self._login.username, self._login.credential.reveal())
        self._trail.sent_credentials = True
        answer, challenge = await self._authenticate(mechanism)
        words = f"{answer.message}\n{challenge}" if challenge else answer.message
        reply = parse_smtp_reply(answer.code, words, self.needles)
        if answer.code == 334:
            # What we said now would be taken for an answer, and be one more failed login.
            self._is_mute = True
            raise Stopped(Failure(FailureKind.PROTOCOL, Stage.AUTH, reply, "challenges without end"))
        if answer.code < 400 and answer.code != 235:
            raise Stopped(Failure(FailureKind.PROTOCOL, Stage.AUTH, reply, "neither yes nor no"))
        if answer.code != 235:
            raise Stopped(Failure(FailureKind.REPLY, Stage.AUTH, reply))
        return reply

    async def look(self, sender: str) -> None:
        """Ask whether `sender` may be used: MAIL FROM, then RSET. Empty: do not ask."""
        if not sender:
            return
        self._trail.enter(Stage.SELECT)
        options = [] if sender.isascii() else [b"SMTPUTF8"]
        answer = await self._wire.ask(b"MAIL", f"FROM:<{sender}>".encode(), *options)
        if answer.code != 250:
            reply = parse_smtp_reply(answer.code, answer.message, self.needles)
            raise Stopped(Failure(FailureKind.REPLY, Stage.SELECT, reply))
        await self._wire.ask(b"RSET")

    def say_goodbye(self) -> None:
        """Say QUIT, unless that could be taken for a part of a login."""
        if not self._is_mute:
            self._wire.write(b"QUIT\r\n")

    @property
    def tls(self) -> ssl.SSLObject | ResumingLink | None:
        """The TLS of the connection; None in clear."""
        return self._link.get_extra_info("ssl_object") if self._link is not None else None

    def abort(self) -> None:
        """Hang up, at whatever point this is."""
        if self._link is not None:
            self._link.abort()
        elif not self._is_taken:
            self._sock.close()

    def peek(self) -> Certificate:
        """Return what an unverified certificate says."""
        return read_unverified(self._link) if self._link is not None else Certificate()

    async def _open(self, context: ssl.SSLContext | None, known: KnownServer | None = None) -> None:
        await take_over(self._sock, self._wire, context, self._name, known)
        self._link = self._wire.link

    async def _read_greeting(self) -> None:
        greeting = await self._wire.read_response()
        self._trail.greeting = clean_text(f"{greeting.code} {greeting.message}", limit=500)
        if greeting.code == 220:
            return
        if not 400 <= greeting.code <= 599:
            raise SMTPResponseException(-1, greeting.message)
        raise Stopped(Failure(FailureKind.REPLY, Stage.GREET, parse_smtp_reply(greeting.code, greeting.message)))

    async def _say_hello(self) -> None:
        answer = await self._wire.ask(b"EHLO", self._hello)
        if answer.code != 250:
            if answer.code < 400:
                raise SMTPResponseException(answer.code, answer.message)
            raise Stopped(Failure(FailureKind.REPLY, Stage.GREET, parse_smtp_reply(answer.code, answer.message)))
        self._extensions, self._mechanisms, self._trail.capabilities = read_extensions(answer.message)

    def _choose(self) -> Mechanism:
        wanted = _TOKEN_MECHANISMS if self._login.is_token else _PASSWORD_MECHANISMS
        for mechanism in wanted:
            if mechanism in self._mechanisms:
                return mechanism
        is_clear = self._login.server.encryption is Encryption.NONE
        if is_clear and not self._mechanisms and "starttls" in self._extensions:
            raise Stopped(Failure(FailureKind.LOGIN_NEEDS_TLS, Stage.AUTH, detail="AUTH is hidden until TLS"))
        detail = "none of the offered mechanisms can be used" if self._mechanisms else "no AUTH is offered"
        raise Stopped(Failure(FailureKind.LOGIN_MISSING, Stage.AUTH, detail=detail))

    async def _authenticate(self, mechanism: Mechanism) -> tuple[SMTPResponse, str]:
        """Send the one AUTH. Returns the last reply, and what a refused token was told before it."""
        secret = self._login.credential.reveal()
        username = self._login.username or secret  # an API token that is its own user name
        match mechanism:
            case Mechanism.LOGIN:
                user, word = auth_login_encode(username, secret)
                # Not with the name in advance: some servers take that for an error.
                answer = _doubt(await self._wire.ask(b"AUTH", b"LOGIN"))
                if answer.code == 334:
                    answer = _doubt(await self._wire.ask(user))
                return (await self._wire.ask(word) if answer.code == 334 else answer), ""
            case Mechanism.CRAM_MD5:
                answer = _doubt(await self._wire.ask(b"AUTH", b"CRAM-MD5"))
                if answer.code != 334:
                    return answer, ""
                try:
                    digest = auth_crammd5_verify(username, secret, answer.message)
                except SMTPAuthenticationError as error:
                    reply = parse_smtp_reply(answer.code, answer.message, self.needles)
                    failure = Failure(FailureKind.PROTOCOL, Stage.AUTH, reply, "a challenge that is no base64")
                    raise Stopped(failure) from error
                return await self._wire.ask(digest), ""
            case Mechanism.XOAUTH2:
                return await self._send_token(b"XOAUTH2", auth_xoauth2_encode(username, secret), b"")
            case Mechanism.OAUTHBEARER:
                # RFC 7628, section 3.1: `,` and `=` of the user name are escaped as in RFC 5801.
                user_name = username.replace("=", "=3D").replace(",", "=2C")
                blob = base64.b64encode(f"n,a={user_name},\1auth=Bearer {secret}\1\1".encode())
                return await self._send_token(b"OAUTHBEARER", blob, b"AQ==")
            case _:
                blob = auth_plain_encode(username, secret)
                is_short = len(blob) + len("AUTH PLAIN ") <= COMMAND_LIMIT_BYTES
                answer = await self._wire.ask(b"AUTH", b"PLAIN", *([blob] if is_short else []))
                answer = answer if is_short else _doubt(answer)
                return (await self._wire.ask(blob) if answer.code == 334 else answer), ""

    async def _send_token(self, mechanism: bytes, blob: bytes, consent: bytes) -> tuple[SMTPResponse, str]:
        """Send a token, and answer the challenge that tells why it is refused, so that the refusal itself comes."""
        answer = await self._wire.ask(b"AUTH", mechanism, blob)
        if answer.code == 334 and not answer.message.strip():  # some ask for it though it came with the command
            answer = await self._wire.ask(blob)
        if answer.code != 334:
            return answer, ""
        told = _decode(answer.message)
        return await self._wire.ask(consent), told


def _doubt(answer: SMTPResponse) -> SMTPResponse:
    """Return an answer that came before the password was sent; a yes is none then."""
    if answer.code == 235:
        reply = parse_smtp_reply(answer.code, answer.message)
        raise Stopped(Failure(FailureKind.PROTOCOL, Stage.AUTH, reply, "a yes before the password was sent"))
    return answer


def _decode(challenge: str) -> str:
    """Return what a challenge says in the clear; empty if it is not base64."""
    try:
        return base64.b64decode(challenge, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""


def _hello_name(hostname: str, sock: socket.socket) -> bytes:
    """Return the name to greet with: the host's own if it is a full one, else the address as a literal."""
    if _HOST_NAME.fullmatch(hostname):
        return hostname.encode()
    address = str(sock.getsockname()[0]).partition("%")[0]
    return f"[IPv6:{address}]".encode() if ":" in address else f"[{address}]".encode()
