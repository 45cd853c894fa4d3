"""I/O: an SMTP server on the loopback that defends itself as real ones do, and writes down how it was treated.

It takes so many connections at a time, so many logins a minute, and bans who fails too often.
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
HOST = "127.0.0.2"  # 127.0.0.1 is where a known provider's bridge listens


class Ban(Enum):
    """What a banned caller meets."""

    REFUSED = "refused"
    HUNG_UP = "hung up"
    TOLD = "told"


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
    port: int = 0
    open_count: int = 0
    most_open: int = 0
    bans: int = 0
    said: Counter[str] = field(default_factory=Counter)
    logins_of: Counter[str] = field(default_factory=Counter)
    banned_until: float = 0.0
    _taken: deque[float] = field(default_factory=deque)
    _failed: deque[float] = field(default_factory=deque)
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, self.port, backlog=1000)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_count += 1
        self.most_open = max(self.most_open, self.open_count)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self._talk(reader, writer)
        self.open_count -= 1
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        now = asyncio.get_running_loop().time()
        if now < self.banned_until:
            self.said["banned"] += 1
            if self.ban is Ban.TOLD:
                writer.write(b"554 5.7.1 Your IP address is blocked after too many failed logins\r\n")
            return
        if self.most_connections and self.open_count > self.most_connections:
            self.said["too many"] += 1
            writer.write(b"421 4.7.0 Too many concurrent connections from your IP address\r\n")
            return
        if not self.is_rate_told_at_login and self._is_too_fast(now):
            self.said["too fast"] += 1
            writer.write(b"421 4.7.0 Rate limit exceeded, slow down\r\n")
            return
        writer.write(b"220 mail.example.com ESMTP\r\n")
        while line := await reader.readline():
            word = line.split()[0].upper() if line.split() else b""
            if word == b"AUTH":
                writer.write(await self._log_in(line))
            elif word == b"EHLO":
                writer.write(b"250-mail.example.com\r\n250 AUTH PLAIN\r\n")
            else:
                writer.write(b"221 bye\r\n")
                return

    async def _log_in(self, line: bytes) -> bytes:
        _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
        await asyncio.sleep(self.login_seconds)
        now = asyncio.get_running_loop().time()
        self.logins_of[user] += 1
        if now < self.banned_until:
            raise ConnectionResetError
        if self.is_rate_told_at_login and self._is_too_fast(now):
            self.said["too fast"] += 1
            return b"454 4.7.0 Too many login attempts, rate limit exceeded, try again later\r\n"
        self._taken.append(now)
        if password == RIGHT:
            self.said["yes"] += 1
            return b"235 2.7.0 Authentication successful\r\n"
        self.said["no"] += 1
        self._failed.append(now)
        while self._failed[0] < now - self.ban_window_seconds:
            self._failed.popleft()
        if self.ban_after and len(self._failed) >= self.ban_after:
            self._begin_ban(now)
        return b"535 5.7.8 Authentication credentials invalid\r\n"

    def _is_too_fast(self, now: float) -> bool:
        while self._taken and self._taken[0] <= now - MINUTE:
            self._taken.popleft()
        return bool(self.logins_per_minute) and len(self._taken) >= self.logins_per_minute

    def _begin_ban(self, now: float) -> None:
        self.bans += 1
        self._failed.clear()
        self.banned_until = now + self.ban_seconds
        if self.ban is Ban.REFUSED and self._server is not None:
            self._server.close()
            task = asyncio.ensure_future(self._come_back())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _come_back(self) -> None:
        await asyncio.sleep(self.ban_seconds)
        await self.listen()


@contextlib.asynccontextmanager
async def policing(server: Policed) -> AsyncIterator[Policed]:
    """Run a server with its rules."""
    await server.listen()
    try:
        yield server
    finally:
        await server.close()
