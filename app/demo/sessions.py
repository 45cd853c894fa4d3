"""I/O: one SMTP or IMAP session with a house of the demonstration, up to the login and a look at the INBOX."""

import asyncio
import base64
import binascii
import re
import ssl
from abc import ABC, abstractmethod
from collections import Counter
from typing import Final

from app.demo.houses import House

_QUOTED: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"|([^ "]+)')
_LINES: Final = 100
"""No session of ours needs more."""


class Session(ABC):
    """What both protocols share. `busy` counts logins that were put off, for all sessions of a house."""

    def __init__(
        self,
        house: House,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        busy: Counter[str],
        tls: ssl.SSLContext | None,
    ) -> None:
        """`tls`: what STARTTLS would use; None: the session is encrypted already."""
        self.house = house
        self.reader = reader
        self.writer = writer
        self.busy = busy
        self.tls = tls

    @abstractmethod
    async def run(self) -> None:
        """Talk until the client leaves, or for a hundred lines."""

    def say(self, text: str) -> None:
        for line in text.split("\n"):
            self.writer.write(line.encode() + b"\r\n")

    async def hear(self) -> bytes:
        await self.writer.drain()
        line = await self.reader.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError
        return line.rstrip(b"\r\n")

    async def encrypt(self) -> None:
        assert self.tls is not None
        await self.writer.drain()
        await self.writer.start_tls(self.tls)
        self.tls = None


class SmtpSession(Session):
    """SMTP submission (RFC 6409) with AUTH (RFC 4954)."""

    async def run(self) -> None:
        self.say(self.house.smtp_greeting)
        for _ in range(_LINES):
            verb, _, rest = (await self.hear()).partition(b" ")
            match verb.upper():
                case b"EHLO" | b"HELO":
                    self._offer()
                case b"STARTTLS" if self.tls is not None:
                    self.say("220 2.0.0 Ready to start TLS")
                    await self.encrypt()
                case b"AUTH" if self.tls is not None:
                    self.say("530 5.7.0 Must issue a STARTTLS command first")
                case b"AUTH":
                    await self._authenticate(rest)
                case b"QUIT":
                    self.say("221 2.0.0 Bye")
                    return
                case b"MAIL" | b"RSET" | b"NOOP":
                    self.say("250 2.0.0 Ok")
                case _:
                    self.say("502 5.5.1 Command not implemented")

    def _offer(self) -> None:
        host = self.house.smtp_host
        more = "250-STARTTLS" if self.tls is not None else f"250-AUTH {self.house.smtp_mechanisms}"
        self.say(f"250-{host} at your service\n250-SIZE 35882577\n250-8BITMIME\n{more}\n250 ENHANCEDSTATUSCODES")

    async def _authenticate(self, rest: bytes) -> None:
        mechanism, _, initial = rest.partition(b" ")
        if mechanism.upper() == b"PLAIN":
            blob = _decode(initial or await self._ask(""))
            _, _, credentials = blob.partition("\0")
            username, _, password = credentials.partition("\0")
        elif mechanism.upper() == b"LOGIN":
            username = _decode(initial or await self._ask("VXNlcm5hbWU6"))
            password = _decode(await self._ask("UGFzc3dvcmQ6"))
        else:
            self.say("504 5.7.4 Unrecognized authentication type")
            return
        user = self.house.users.get(username)
        if user is None or user.password != password:
            self.say(self.house.smtp_wrong)
        else:
            self.say(user.smtp_refusal or self.house.smtp_welcome)

    async def _ask(self, challenge: str) -> bytes:
        self.say(f"334 {challenge}")
        return await self.hear()


class ImapSession(Session):
    """IMAP4rev1 (RFC 3501) as far as a check goes."""

    async def run(self) -> None:
        self.say(self.house.imap_greeting)
        for _ in range(_LINES):
            tag, _, rest = (await self.hear()).partition(b" ")
            verb, _, rest = rest.partition(b" ")
            label = tag.decode("ascii", "replace")
            match verb.upper():
                case b"CAPABILITY":
                    more = " STARTTLS LOGINDISABLED" if self.tls is not None else ""
                    offers = self.house.imap_capabilities
                    if more:
                        offers = " ".join(part for part in offers.split() if not part.startswith("AUTH="))
                    self.say(f"* CAPABILITY {offers}{more}\n{label} OK Completed")
                case b"STARTTLS" if self.tls is not None:
                    self.say(f"{label} OK Begin TLS negotiation now.")
                    await self.encrypt()
                case b"LOGIN" | b"AUTHENTICATE" if self.tls is not None:
                    self.say(
                        f"{label} NO [PRIVACYREQUIRED] Plaintext authentication disallowed on non-secure connections."
                    )
                case b"LOGIN":
                    username, password, *_ = [*(_unquote(one or two) for one, two in _QUOTED.findall(rest)), "", ""]
                    self._judge(label, username, password)
                case b"AUTHENTICATE":
                    await self._authenticate(label, rest)
                case b"LIST" | b"LSUB" | b"XLIST":
                    lines = "".join(f"* LIST {folder}\n" for folder in self.house.folders)
                    self.say(f"{lines}{label} OK Success")
                case b"EXAMINE" | b"SELECT":
                    self.say(f"* 3 EXISTS\n* 0 RECENT\n* OK [UIDVALIDITY 1] ok\n{label} OK [READ-ONLY] INBOX selected.")
                case b"LOGOUT":
                    self.say(f"* BYE Logging out\n{label} OK Logout completed.")
                    return
                case b"NOOP" | b"ID" | b"NAMESPACE":
                    self.say(f"{label} OK Completed")
                case _:
                    self.say(f"{label} BAD Unknown command")

    async def _authenticate(self, label: str, rest: bytes) -> None:
        mechanism, _, initial = rest.partition(b" ")
        if mechanism.upper() != b"PLAIN":
            self.say(f"{label} NO Unsupported authentication mechanism.")
            return
        if not initial:
            self.say("+ ")
            initial = await self.hear()
        _, _, credentials = _decode(initial).partition("\0")
        username, _, password = credentials.partition("\0")
        self._judge(label, username, password)

    def _judge(self, label: str, username: str, password: str) -> None:
        user = self.house.users.get(username)
        if user is None or user.password != password:
            self.say(f"{label} {self.house.imap_wrong}")
        elif self.busy[username] < user.busy_logins:
            self.busy[username] += 1
            self.say(f"{label} {self.house.imap_busy}")
        else:
            self.say(f"{label} {user.imap_refusal or self.house.imap_welcome}")


def _decode(encoded: bytes) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _unquote(raw: bytes) -> str:
    return re.sub(rb"\\(.)", rb"\1", raw).decode("utf-8", "replace")
