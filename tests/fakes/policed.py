"""I/O: a mail server on the loopback that defends itself as real ones do, and writes down how it was treated.

It speaks SMTP on one port and IMAP on another, takes so many connections at a time and so many logins a minute, and
bans who fails too often, on both ports at once.
"""

import asyncio
import base64
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import Enum

RIGHT = "right horse"
MINUTE = 60.0
HOST = "127.0.0.2"


class Ban(Enum):
    """What a banned caller meets."""

    REFUSED = "refused"
    HUNG_UP = "hung up"
    TOLD = "told"
    SILENT = "silent"


@dataclass
class Policed:
    """A server and its rules; 0: there is no such rule. `login_seconds`: how long it thinks about a login."""

    most_connections: int = 0
    logins_per_minute: int = 0
    is_rate_told_at_login: bool = True
    ban_after: int = 0
    ban: Ban = Ban.REFUSED
    ban_seconds: float = 600.0
    ban_window_seconds: float = 600.0
    login_seconds: float = 0.5
    host: str = HOST
    port: int = 0
    imap_port: int = 0
    open_count: int = 0
    bans: int = 0
    said: Counter[str] = field(default_factory=Counter)
    logins_of: Counter[str] = field(default_factory=Counter)
    banned_until: float = 0.0
    _taken: deque[float] = field(default_factory=deque)
    _failed: deque[float] = field(default_factory=deque)
    _servers: list[asyncio.Server] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def listen(self) -> None:
        smtp = await asyncio.start_server(self._serve_smtp, self.host, self.port, backlog=1000)
        imap = await asyncio.start_server(self._serve_imap, self.host, self.imap_port, backlog=1000)
        self.port, self.imap_port = smtp.sockets[0].getsockname()[1], imap.sockets[0].getsockname()[1]
        self._servers = [smtp, imap]

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve_smtp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._serve(_Smtp(), reader, writer)

    async def _serve_imap(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._serve(_Imap(), reader, writer)

    async def _serve(self, words: "_Words", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.open_count += 1
        try:
            await self._talk(words, reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # a cancelled handler would be told to the loop's exception handler
        finally:
            self._tasks.discard(task)
            self.open_count -= 1
            writer.close()

    async def _talk(self, words: "_Words", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        now = asyncio.get_running_loop().time()
        if now < self.banned_until:
            self.said["banned"] += 1
            if self.ban is Ban.SILENT:
                await asyncio.sleep(self.banned_until - now)
            elif self.ban is Ban.TOLD:
                writer.write(words.turn_away("Your IP address is blocked after too many failed logins", 554))
            return
        if self.most_connections and self.open_count > self.most_connections:
            self.said["too many"] += 1
            writer.write(words.turn_away("Too many concurrent connections from your IP address", 421))
            return
        if not self.is_rate_told_at_login and self._is_too_fast(now):
            self.said["too fast"] += 1
            writer.write(words.turn_away("Rate limit exceeded, slow down", 421))
            return
        writer.write(words.greeting)
        while line := await reader.readline():
            initial = words.find_login(line)
            answer = await self._log_in(words, initial) if initial else words.answer(line)
            writer.write(answer)
            if words.is_over(line):
                return

    async def _log_in(self, words: "_Words", initial: bytes) -> bytes:
        _, user, password = base64.b64decode(initial).decode().split("\0")
        await asyncio.sleep(self.login_seconds)
        now = asyncio.get_running_loop().time()
        self.logins_of[f"{words.name} {user}"] += 1
        if now < self.banned_until:
            if self.ban is Ban.SILENT:
                await asyncio.sleep(self.banned_until - now)
            raise ConnectionResetError
        if self.is_rate_told_at_login and self._is_too_fast(now):
            self.said["too fast"] += 1
            return words.put_off("Too many login attempts, rate limit exceeded, try again later")
        self._taken.append(now)
        if password == RIGHT:
            self.said["yes"] += 1
            return words.accept()
        self.said["no"] += 1
        self._failed.append(now)
        while self._failed[0] < now - self.ban_window_seconds:
            self._failed.popleft()
        if self.ban_after and len(self._failed) >= self.ban_after:
            self._begin_ban(now)
        return words.refuse()

    def _is_too_fast(self, now: float) -> bool:
        while self._taken and self._taken[0] <= now - MINUTE:
            self._taken.popleft()
        return bool(self.logins_per_minute) and len(self._taken) >= self.logins_per_minute

    def _begin_ban(self, now: float) -> None:
        self.bans += 1
        self._failed.clear()
        self.banned_until = now + self.ban_seconds
        if self.ban is Ban.REFUSED:
            for server in self._servers:
                server.close()
            task = asyncio.ensure_future(self._come_back())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _come_back(self) -> None:
        await asyncio.sleep(self.ban_seconds)
        await self.listen()


class _Smtp:
    """What it says in SMTP."""

    name = "smtp"
    greeting = b"220 mail.example.com ESMTP\r\n"

    def turn_away(self, text: str, code: int) -> bytes:
        return f"{code} {code // 100}.7.{code % 10} {text}\r\n".encode()

    def put_off(self, text: str) -> bytes:
        return f"454 4.7.0 {text}\r\n".encode()

    def accept(self) -> bytes:
        return b"235 2.7.0 Authentication successful\r\n"

    def refuse(self) -> bytes:
        return b"535 5.7.8 Authentication credentials invalid\r\n"

    def find_login(self, line: bytes) -> bytes:
        return line.split()[2] if line.upper().startswith(b"AUTH PLAIN ") else b""

    def answer(self, line: bytes) -> bytes:
        is_hello = line.upper().startswith(b"EHLO")
        return b"250-mail.example.com\r\n250 AUTH PLAIN\r\n" if is_hello else b"221 bye\r\n"

    def is_over(self, line: bytes) -> bool:
        return line.upper().startswith(b"QUIT")


class _Imap:
    """What it says in IMAP."""

    name = "imap"
    greeting = b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] mail.example.com ready\r\n"

    def __init__(self) -> None:
        self._tag = b""

    def turn_away(self, text: str, code: int) -> bytes:
        return f"* BYE {text}\r\n".encode() if code else b""

    def put_off(self, text: str) -> bytes:
        return self._tag + f" NO [LIMIT] {text}\r\n".encode()

    def accept(self) -> bytes:
        return self._tag + b" OK [CAPABILITY IMAP4rev1] Logged in\r\n"

    def refuse(self) -> bytes:
        return self._tag + b" NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"

    def find_login(self, line: bytes) -> bytes:
        self._tag, *words = line.split()
        return words[2] if words[:2] == [b"AUTHENTICATE", b"PLAIN"] else b""

    def answer(self, line: bytes) -> bytes:
        told = {b"LIST": b'* LIST () "/" INBOX\r\n', b"EXAMINE": b"* 3 EXISTS\r\n", b"LOGOUT": b"* BYE bye\r\n"}
        return told.get(line.split()[1].upper(), b"") + self._tag + b" OK done\r\n"

    def is_over(self, line: bytes) -> bool:
        return line.split()[1].upper() == b"LOGOUT"


_Words = _Smtp | _Imap


@contextlib.asynccontextmanager
async def policing(server: Policed) -> AsyncIterator[Policed]:
    """Run a server with its rules."""
    await server.listen()
    try:
        yield server
    finally:
        await server.close()
