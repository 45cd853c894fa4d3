"""I/O: a mail server, in clear or over TLS, that knows any number of mailboxes by name, and counts every login.

The first word of a mailbox tells how it is treated: `good-17@…` may come in, `wrong-3@…` may not, `later-5@…` is told
"later" the first time, `held-2@…` may come in and gets no answer until the test lets go. Used where counting is what
matters.
"""

import asyncio
import base64
import contextlib
import re
import ssl
import zlib
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

Login = tuple[str, str]
"""Protocol and user name."""

_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"')


@dataclass
class Counting:
    """Where it listens, and what it saw: for each login, how it was answered, in order."""

    smtp_port: int = 0
    imap_port: int = 0
    delay_seconds: float = 0.2
    reply_seconds: float = 0.0
    hosts: list[str] = field(default_factory=list)
    logins: dict[Login, list[str]] = field(default_factory=lambda: defaultdict(list))
    greeted: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    """How often a password came for a user name, answered or not."""
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    revoked: set[str] = field(default_factory=set)
    """User names whose password has been changed since."""

    def judge(self, protocol: str, username: str) -> str:
        """Return `ok`, `no` or `later`, and write it down."""
        kind = username.partition("-")[0]
        seen = self.logins[protocol, username]
        answer = {"wrong": "no", "later": "ok" if seen else "later"}.get(kind, "ok")
        answer = "no" if username in self.revoked else answer
        seen.append(answer)
        return answer

    async def think(self, username: str) -> None:
        """Take between half and one and a half of the delay, always the same for one mailbox."""
        self.asked[username] += 1
        if username.startswith("held-"):
            await self.let_go.wait()
        share = zlib.crc32(username.encode()) % 1000 / 1000
        await asyncio.sleep(self.delay_seconds * (0.5 + share))


@contextlib.asynccontextmanager
async def count_logins(
    delay_seconds: float = 0.2,
    hosts: int = 1,
    reply_seconds: float = 0.0,
    network: str = "127.0.0",
    tls: Callable[[str], ssl.SSLContext | None] = lambda _host: None,
) -> AsyncIterator[Counting]:
    """Run the server on two ports of the network's first address, and of as many after it as there shall be hosts.

    `reply_seconds`: what each answer takes besides, as if the way were long. `tls`: what a host speaks it with.
    """
    book = Counting(delay_seconds=delay_seconds, reply_seconds=reply_seconds)
    tasks: set[asyncio.Task[None]] = set()

    async def guarded(talk: asyncio.Task[None], writer: asyncio.StreamWriter) -> None:
        tasks.add(talk)
        try:
            await talk
        except (OSError, EOFError, ValueError, asyncio.CancelledError):
            pass  # the client has gone, or the run is over
        finally:
            tasks.discard(talk)
            writer.close()

    async def smtp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await guarded(asyncio.create_task(_talk_smtp(book, reader, writer)), writer)

    async def imap(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await guarded(asyncio.create_task(_talk_imap(book, reader, writer)), writer)

    book.hosts = [f"{network}.{number}" for number in range(1, hosts + 1)]
    servers = [
        await asyncio.start_server(talk, book.hosts[0], 0, backlog=1024, ssl=tls(book.hosts[0]))
        for talk in (smtp, imap)
    ]
    book.smtp_port, book.imap_port = (server.sockets[0].getsockname()[1] for server in servers)
    for talk, port in ((smtp, book.smtp_port), (imap, book.imap_port)):
        servers += [
            await asyncio.start_server(talk, host, port, backlog=1024, ssl=tls(host)) for host in book.hosts[1:]
        ]
    try:
        yield book
    finally:
        for server in servers:
            server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.sleep(0.05)


async def _talk_smtp(book: Counting, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(book.reply_seconds)
    writer.write(b"220 mail.counting.test ESMTP\r\n")
    book.greeted += 1
    while line := await reader.readline():
        verb, _, rest = line.strip().partition(b" ")
        await asyncio.sleep(book.reply_seconds)
        match verb.upper():
            case b"EHLO":
                writer.write(b"250-mail.counting.test\r\n250-AUTH PLAIN\r\n250 ENHANCEDSTATUSCODES\r\n")
            case b"AUTH":
                username = base64.b64decode(rest.split()[1]).split(b"\0")[1].decode()
                await book.think(username)
                answers = {
                    "ok": b"235 2.7.0 Authentication successful\r\n",
                    "no": b"535 5.7.8 Error: authentication failed: (reason unavailable)\r\n",
                    "later": b"454 4.7.0 Temporary authentication failure: Connection lost\r\n",
                }
                writer.write(answers[book.judge("smtp", username)])
            case b"QUIT":
                writer.write(b"221 2.0.0 Bye\r\n")
                break
            case _:
                writer.write(b"250 2.0.0 Ok\r\n")
    await writer.drain()


async def _talk_imap(book: Counting, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(book.reply_seconds)
    writer.write(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready.\r\n")
    book.greeted += 1
    while line := await reader.readline():
        tag, _, rest = line.strip().partition(b" ")
        verb, _, rest = rest.partition(b" ")
        if verb.upper() != b"EXAMINE":  # it comes with LIST, in one go
            await asyncio.sleep(book.reply_seconds)
        match verb.upper():
            case b"AUTHENTICATE":
                username = base64.b64decode(rest.split()[1]).split(b"\0")[1].decode()
                await book.think(username)
                writer.write(tag + _IMAP_ANSWERS[book.judge("imap", username)])
            case b"LOGIN":
                username = _QUOTED.findall(rest)[0].decode()
                await book.think(username)
                writer.write(tag + _IMAP_ANSWERS[book.judge("imap", username)])
            case b"CAPABILITY":
                writer.write(b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\r\n" + tag + b" OK done\r\n")
            case b"LIST":
                writer.write(b'* LIST (\\HasNoChildren) "/" INBOX\r\n' + tag + b" OK done\r\n")
            case b"EXAMINE":
                writer.write(b"* 0 EXISTS\r\n" + tag + b" OK [READ-ONLY] done\r\n")
            case b"LOGOUT":
                writer.write(b"* BYE bye\r\n" + tag + b" OK done\r\n")
                break
            case _:
                writer.write(tag + b" OK done\r\n")
    await writer.drain()


_IMAP_ANSWERS = {
    "ok": b" OK Logged in\r\n",
    "no": b" NO [AUTHENTICATIONFAILED] Authentication failed.\r\n",
    "later": b" NO [UNAVAILABLE] Temporary authentication failure.\r\n",
}
