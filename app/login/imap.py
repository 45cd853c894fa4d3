"""I/O: one IMAP login, from the greeting to LOGOUT; stages tls, greet, auth and select of the line.

Exactly one AUTHENTICATE or LOGIN is ever sent.
"""

import asyncio
import base64
import binascii
import socket
import ssl
from typing import Final

from aioimaplib import aioimaplib

from app.checked import Certificate, Failure, FailureKind, Reply
from app.login.certificate import read_facts, read_unverified
from app.login.exchange import Exchange
from app.login.failure import Stopped, WireError
from app.login.imap_wire import FOLDERS_LIMIT_BYTES, ImapWire
from app.login.offers import show_capabilities
from app.login.pin import KnownServer
from app.login.reply import parse_imap_reply
from app.login.resolve import to_ascii
from app.login.resume import ResumingLink
from app.login.trace import Trail
from app.model import Encryption, Login, Mechanism, Stage
from app.text import clean_text, list_needles

QUOTED_LIMIT = 900
"""Longer user names and passwords go as literals: some servers stop reading a line at 1000 bytes."""
WHO_WE_ARE: Final = '("name" "bulk-connect")'
"""RFC 2971."""

_GMAIL: Final = "X-GM-EXT-1"
"""https://developers.google.com/workspace/gmail/imap/imap-extensions, read 2026-11-21."""


class ImapSession:
    """One check's way through an IMAP server; every method is a step, and raises when the check ends there."""

    def __init__(self, sock: socket.socket, login: Login, trail: Trail) -> None:
        self._sock = sock
        self._login = login
        self._trail = trail
        self._name = ""
        self._wire = ImapWire(asyncio.get_running_loop())
        self._is_taken = False
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
                await self._wire.open(self._sock, context, self._name, known)
            case Encryption.STARTTLS:
                self._trail.enter(Stage.GREET)
                await self._wire.open(self._sock, None, "")
                await self._read_greeting()
                await self._ask_offers()
                self._trail.enter(Stage.TLS)
                await self._starttls(context, known)
            case Encryption.NONE:
                self._trail.enter(Stage.GREET)
                await self._wire.open(self._sock, None, "")

    async def greet(self) -> None:
        """Read the greeting, if it was not read before TLS, and learn what the server offers."""
        self._trail.enter(Stage.GREET)
        if self._wire.link is not None:
            self._trail.tls_version, self._trail.certificate = read_facts(self._wire.link)
        if self._login.server.encryption is not Encryption.STARTTLS:
            await self._read_greeting()
        await self._ask_offers()
        self._trail.capabilities = show_capabilities(self._wire.offered)

    async def log_in(self) -> Reply:
        """Send the credentials, once. Returns the server's consent."""
        self._trail.enter(Stage.AUTH)
        if not self._trail.tls_version and self._login.server.encryption is not Encryption.NONE:
            raise Stopped(Failure(FailureKind.OURS, Stage.AUTH, detail="no TLS under a login that asked for it"))
        command, self._trail.mechanism = self._choose()
        self.needles = list_needles(self._login.username, self._login.credential.reveal())
        self._wire.notices.clear()
        self._trail.sent_credentials = True
        await self._wire.run(command)
        reply = parse_imap_reply(command.ending, [*_read_challenges(command), *self._wire.notices], self.needles)
        if not command.is_ok:
            raise Stopped(Failure(FailureKind.REPLY, Stage.AUTH, reply))
        if command.is_early:
            raise Stopped(Failure(FailureKind.PROTOCOL, Stage.AUTH, reply, "a yes before the password was sent"))
        return reply

    async def look(self, sender: str) -> None:  # noqa: ARG002 - the SMTP side asks about it
        """See that there is a mailbox behind the login: LIST and EXAMINE INBOX, in one go.

        LOGOUT does not go with them: a server may take up the next command before it has ended one (RFC 9051, section
        5.5), and hang up on both.
        """
        self._trail.enter(Stage.SELECT)
        wire = self._wire
        wire.limit_bytes = FOLDERS_LIMIT_BYTES
        wire.notices.clear()
        folders = Exchange("LIST", wire.new_tag(), '""', '"*"')
        inbox = Exchange("EXAMINE", wire.new_tag(), "INBOX")
        # NetEase and other houses of Coremail open no mailbox to a client that does not say who it is:
        # https://github.com/mjs/imapclient/issues/544, read 2026-11-21. Others take it for the courtesy it is.
        first = [Exchange("ID", wire.new_tag(), WHO_WE_ARE)] if "ID" in wire.offers else []
        wire.send_all(*first, folders, inbox)
        await folders.wait()
        await inbox.wait()
        if inbox.ending[:3].upper() == b"BAD":  # there are small servers that know only what programs commonly say
            inbox = Exchange("SELECT", wire.new_tag(), "INBOX")
            await wire.run(inbox)
        if wire.has_all_folder or _GMAIL in wire.offers:
            self._trail.has_all_mail = wire.has_all_folder
        if not inbox.is_ok:
            notices = [notice for notice in wire.notices if notice[:3].upper() != b"BYE"]
            reply = parse_imap_reply(inbox.ending, notices, self.needles)
            raise Stopped(Failure(FailureKind.REPLY, Stage.SELECT, reply))

    def say_goodbye(self) -> None:
        """Say LOGOUT."""
        self._wire.send_all(Exchange("LOGOUT", self._wire.new_tag()))

    @property
    def tls(self) -> ssl.SSLObject | ResumingLink | None:
        """The TLS of the connection; None in clear."""
        return self._wire.link.get_extra_info("ssl_object") if self._wire.link is not None else None

    def abort(self) -> None:
        """Hang up, at whatever point this is."""
        self._wire.abort()
        if not self._is_taken:
            self._sock.close()

    def peek(self) -> Certificate:
        """Return what an unverified certificate says."""
        return read_unverified(self._wire.link) if self._wire.link is not None else Certificate()

    async def _read_greeting(self) -> None:
        line = await self._wire.greeting
        self._trail.greeting = clean_text(line, limit=500)
        head = line[:9].upper()
        if head.startswith(b"* OK"):
            before, found, words = line.partition(b"[CAPABILITY ")
            if found and before.upper().strip() == b"* OK":
                self._wire.learn_offers(words.partition(b"]")[0])
            return
        if head.startswith(b"* BYE"):
            raise Stopped(Failure(FailureKind.REPLY, Stage.GREET, parse_imap_reply(line[2:])))
        if head == b"* PREAUTH":
            # Somebody is logged in, and it was not our credential that did it.
            detail = "logged in before any credential was sent"
            raise Stopped(Failure(FailureKind.PROTOCOL, Stage.GREET, parse_imap_reply(line[2:]), detail))
        reply = Reply(clean_text(line, limit=500))
        raise Stopped(Failure(FailureKind.PROTOCOL, Stage.GREET, reply, "not an IMAP greeting"))

    async def _ask_offers(self) -> None:
        if self._wire.offers:
            return
        command = Exchange("CAPABILITY", self._wire.new_tag())
        await self._wire.run(command)
        if not command.is_ok:
            reply = parse_imap_reply(command.ending, self._wire.notices)
            is_bad = command.ending[:3].upper() == b"BAD"
            raise Stopped(Failure(FailureKind.PROTOCOL if is_bad else FailureKind.REPLY, Stage.GREET, reply))
        if not self._wire.offers:
            raise WireError(FailureKind.PROTOCOL, "CAPABILITY without an answer")

    async def _starttls(self, context: ssl.SSLContext, known: KnownServer | None) -> None:
        if "STARTTLS" not in self._wire.offers:
            raise Stopped(Failure(FailureKind.STARTTLS_MISSING, Stage.TLS))
        refusal = await self._wire.starttls(context, self._name, known)
        if refusal:
            raise Stopped(Failure(FailureKind.REPLY, Stage.TLS, parse_imap_reply(refusal)))

    def _choose(self) -> tuple[Exchange, Mechanism]:
        """Choose how to log in, by what is offered, and write the one command for it."""
        offers, login = self._wire.offers, self._login
        secret = login.credential.reveal()
        if login.is_token:
            if "AUTH=XOAUTH2" in offers:
                token = f"user={login.username}\1auth=Bearer {secret}\1\1"
                return self._sasl(Mechanism.XOAUTH2, token, b""), Mechanism.XOAUTH2
            if "AUTH=OAUTHBEARER" in offers:
                # RFC 7628, section 3.1: `,` and `=` of the user name are escaped as in RFC 5801.
                user = login.username.replace("=", "=3D").replace(",", "=2C")
                token = f"n,a={user},\1auth=Bearer {secret}\1\1"
                return self._sasl(Mechanism.OAUTHBEARER, token, b"AQ=="), Mechanism.OAUTHBEARER
            raise Stopped(Failure(FailureKind.LOGIN_MISSING, Stage.AUTH, detail="no login by token is offered"))
        if "AUTH=PLAIN" in offers:
            return self._sasl(Mechanism.PLAIN, f"\0{login.username}\0{secret}"), Mechanism.PLAIN
        if "LOGINDISABLED" in offers:
            is_clear = login.server.encryption is Encryption.NONE
            kind = FailureKind.LOGIN_NEEDS_TLS if is_clear else FailureKind.LOGIN_MISSING
            raise Stopped(Failure(kind, Stage.AUTH, detail="LOGINDISABLED"))
        return self._login_command(login.username, secret), Mechanism.LOGIN_COMMAND

    def _sasl(self, mechanism: Mechanism, blob: str, *more: bytes) -> Exchange:
        encoded = base64.b64encode(blob.encode())
        if "SASL-IR" in self._wire.offers:
            # Some offer it and ask all the same; an empty line would be taken for the password.
            tag, again = self._wire.new_tag(), encoded if more else b""
            answers = more or (encoded,)
            return Exchange("AUTHENTICATE", tag, mechanism, encoded.decode(), answers=answers, again=again)
        return Exchange("AUTHENTICATE", self._wire.new_tag(), mechanism, answers=[encoded, *more], due=1)

    def _login_command(self, username: str, secret: str) -> Exchange:
        tag = self._wire.new_tag()
        if all(text.isascii() and len(text) <= QUOTED_LIMIT for text in (username, secret)):
            return Exchange("LOGIN", tag, aioimaplib.quoted(username), aioimaplib.quoted(secret))
        # RFC 9051, section 4.3: a literal may hold any byte but NUL.
        user, word = username.encode(), secret.encode()
        answers = [user + f" {{{len(word)}}}".encode(), word]
        return Exchange("LOGIN", tag, f"{{{len(user)}}}", answers=answers, due=2)


def _read_challenges(command: Exchange) -> list[bytes]:
    """Return what a refused token was told, as JSON: `{"status":"400","schemes":"Bearer"}`."""
    found = []
    for challenge in command.challenges:
        try:
            text = base64.b64decode(challenge, validate=True)
        except binascii.Error:
            continue
        if text.startswith(b"{"):
            found.append(text)
    return found
