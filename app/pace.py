"""I/O (its turns wait): how hard a mail host is knocked at, from one worker process.

Each pace key (a provider, else a host) has, for each protocol, a limit on concurrent checks. It starts modest, grows
while answers are good, halves when the host says that it is too much or refuses and resets connections in a burst, and
pauses then, longer each time (AIMD, as TCP: RFC 5681, section 3.1). Refused logins on a small host slow it down, since
many ban an address after ten. A host that falls silent keeps a few slots, so that it cannot hold up the others.
The decisions are in `Gate`, which is given the time; `Pace` only waits.
The decisions are in `Gate`, which is given the time; `Pace` only waits.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from app.codes import Code
from app.model import Protocol

START_LIMIT: Final = 10
SILENT_LIMIT: Final = 5.0
MOST: Final = 400
FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
REFUSALS_BEFORE_CARE: Final = 5
BAN_PAUSE_SECONDS: Final = 30.0
KEYS_KEPT: Final = 50_000


class Signal(StrEnum):
    """What a check's end says of the host."""

    GOOD = "good"
    REFUSED_LOGIN = "refused_login"
    TOO_MUCH = "too_much"
    SILENT = "silent"
    NEUTRAL = "neutral"


_SIGNALS: Final = {
    Code.OK: Signal.GOOD,
    Code.INVALID_CREDENTIALS: Signal.REFUSED_LOGIN,
    Code.MAILBOX_UNAVAILABLE: Signal.REFUSED_LOGIN,
    Code.TOO_MANY_CONNECTIONS: Signal.TOO_MUCH,
    Code.RATE_LIMITED: Signal.TOO_MUCH,
    Code.IP_BLOCKED: Signal.TOO_MUCH,
    Code.CONNECTION_REFUSED: Signal.TOO_MUCH,
    Code.CONNECTION_CLOSED: Signal.TOO_MUCH,
    Code.TEMPORARY_SERVER_ERROR: Signal.TOO_MUCH,
    Code.CONNECTION_TIMEOUT: Signal.SILENT,
    Code.AUTH_NO_ANSWER: Signal.SILENT,
    Code.HOST_UNREACHABLE: Signal.SILENT,
}
_REFUSES_US: Final = frozenset({Code.CONNECTION_REFUSED, Code.CONNECTION_CLOSED, Code.IP_BLOCKED})


def read_signal(code: Code) -> Signal:
    """Return what a code says of the host's load."""
    return _SIGNALS.get(code, Signal.NEUTRAL)


@dataclass(slots=True)
class Gate:
    """What is known of one host. Times are seconds of any steady clock. `cap`: never more than that at a time."""

    cap: int = MOST
    is_big: bool = False
    limit: float = START_LIMIT
    in_use: int = 0
    opens_at: float = 0.0
    pause: float = FIRST_PAUSE_SECONDS
    refusals: int = 0
    has_been_good: bool = False
    is_banned: bool = False
    last_used_at: float = 0.0
    freed: asyncio.Event = field(default_factory=asyncio.Event)

    def room(self, now: float) -> int:
        """Return how many more checks may start now."""
        if now < self.opens_at:
            return 0
        if self.is_banned:
            return max(0, 1 - self.in_use)
        return max(0, min(int(self.limit), self.cap) - self.in_use)

    def observe(self, code: Code, now: float) -> None:
        """Learn from how a check ended."""
        signal = read_signal(code)
        if signal is Signal.GOOD:
            self.has_been_good, self.is_banned = True, False
            self.refusals, self.pause = 0, FIRST_PAUSE_SECONDS
            # Each good end in a full window makes room for one more a round; slow start below the first limit.
            self.limit = min(float(MOST), self.limit + (1.0 if self.limit < START_LIMIT else 4.0 / self.limit))
        elif signal is Signal.REFUSED_LOGIN:
            self.refusals += 1
            if not self.is_big and self.refusals >= REFUSALS_BEFORE_CARE:
                self.limit = max(1.0, min(self.limit, START_LIMIT) / 2)
                self.opens_at = max(self.opens_at, now + min(self.refusals / REFUSALS_BEFORE_CARE, 10.0))
        elif signal is Signal.TOO_MUCH:
            self._back_off(code, now)
        elif signal is Signal.SILENT:
            self.limit = max(SILENT_LIMIT, self.limit / 2)

    def _back_off(self, code: Code, now: float) -> None:
        if code in _REFUSES_US and self.refusals >= REFUSALS_BEFORE_CARE and not self.is_big:
            self.is_banned = True
            self.opens_at = now + BAN_PAUSE_SECONDS
            return
        if now < self.opens_at:
            return  # one burst is one sign
        if code is Code.CONNECTION_REFUSED and not self.has_been_good:
            self.limit = max(2.0, self.limit / 2)  # nothing listens there: no reason to wait, none to press
            return
        self.limit = max(1.0, min(self.limit, float(max(self.in_use, 1))) / 2)
        self.opens_at = now + self.pause
        self.pause = min(self.pause * 2, LONGEST_PAUSE_SECONDS)


class Pace:
    """The gates of one process, one for each pace key and protocol."""

    def __init__(self, limits: Mapping[str, int] | None = None, now: Callable[[], float] | None = None) -> None:
        """`limits`: operator's most for a provider's slug or a host. `now`: a steady clock; the loop's unless given."""
        self._limits = dict(limits or {})
        self._now = now or (lambda: asyncio.get_running_loop().time())
        self._gates: dict[tuple[str, Protocol], Gate] = {}

    def rooms(self) -> dict[str, int]:
        """Return how many more rows each known pace key bears: the narrower of its two gates counts."""
        now = self._now()
        rooms: dict[str, int] = {}
        for (key, _), gate in self._gates.items():
            rooms[key] = min(gate.room(now), rooms.get(key, MOST))
        return rooms

    def default_room(self) -> int:
        """Return how many rows a key bears of which nothing is known."""
        return START_LIMIT

    def is_banned(self, key: str, protocol: Protocol) -> bool:
        """Tell whether a host seems to have banned us after refused logins."""
        gate = self._gates.get((key, protocol))
        return gate is not None and gate.is_banned

    def describe(self) -> list[dict[str, object]]:
        """Return limit, checks in flight and seconds of pause left of each gate, for the debug view."""
        now = self._now()
        return [
            {
                "key": key,
                "protocol": protocol.value,
                "limit": int(min(gate.limit, gate.cap)),
                "inUse": gate.in_use,
                "pauseSeconds": round(max(0.0, gate.opens_at - now), 1),
                "refusals": gate.refusals,
                "banned": gate.is_banned,
            }
            for (key, protocol), gate in sorted(self._gates.items())
        ]

    @contextlib.asynccontextmanager
    async def turn(self, key: str, protocol: Protocol, *, is_big: bool = False) -> AsyncIterator[None]:
        """Wait for a turn at a host and hold it."""
        gate = self._gate(key, protocol, is_big=is_big)
        while gate.room(self._now()) <= 0:
            gate.freed.clear()
            wait = max(gate.opens_at - self._now(), 0.05) if gate.opens_at > self._now() else 1.0
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(gate.freed.wait(), wait)
        gate.in_use += 1
        gate.last_used_at = self._now()
        try:
            yield
        finally:
            gate.in_use -= 1
            gate.freed.set()

    def observe(self, key: str, protocol: Protocol, code: Code) -> None:
        """Learn from how a check at a host ended."""
        gate = self._gates.get((key, protocol))
        if gate is not None:
            gate.observe(code, self._now())

    def _gate(self, key: str, protocol: Protocol, *, is_big: bool) -> Gate:
        gate = self._gates.get((key, protocol))
        if gate is None:
            if len(self._gates) >= KEYS_KEPT:
                self._forget()
            gate = self._gates[key, protocol] = Gate(cap=self._limits.get(key, MOST), is_big=is_big)
        return gate

    def _forget(self) -> None:
        """Drop the half of the idle gates that were used longest ago."""
        idle = sorted((gate.last_used_at, name) for name, gate in self._gates.items() if not gate.in_use)
        for _, name in idle[: len(idle) // 2 + 1]:
            del self._gates[name]
