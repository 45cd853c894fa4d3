"""I/O (its turns wait): how hard mail hosts are knocked at, from one worker process.

Each door (a known provider, else an address that is dialled) has, for each protocol, a `Gate` that decides; `Pace` only
waits, and remembers which rows, by their pace key, knock at which door. A check that finds no turn soon is to come back
later, so that it holds no slot that another host's row could use.
"""

import asyncio
import contextlib
import heapq
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Final
from weakref import WeakValueDictionary

from app.codes import Code
from app.gate import START_LIMIT, Gate, Refusals
from app.intake.address import organisation_of
from app.load import Way
from app.model import Protocol
from app.turns import Turns
from app.waitlist import Waitlist

TURN_SECONDS: Final = 2.0
"""How long a turn is waited for before the check is put off."""

KEYS_KEPT: Final = 50_000
PATIENCE_SECONDS: Final = 900.0
MANY: Final = 50
"""Rows that end without a dial need no turns."""

MOST_SHOWN: Final = 500
STRAY_SECONDS: Final = 10.0
"""How long a check is put off that goes a way which is not known to work."""


class NoTurn(Exception):  # noqa: N818 - it is how waiting ends, not an error
    """No turn came soon. `seconds`: when to come back."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


class Pace:
    """The gates of one process."""

    def __init__(
        self,
        limits: Mapping[str, int] | None = None,
        now: Callable[[], float] | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
        slots: int = 0,
    ) -> None:
        """`limits`: operator's most for a provider's slug, a host or an address. `now`: the loop's clock unless given.

        `patience_seconds`: how long a host may be shut before its rows end as it does.
        `slots`: of the process; hosts that have answered nobody yet get half of them. 0: as many as there are.
        """
        self._limits = dict(limits or {})
        self._now = now or _loop_time
        self._patience_seconds = patience_seconds
        self._gates: dict[tuple[str, Protocol], Gate] = {}
        self._turns: dict[tuple[str, Protocol], Turns] = {}
        self._refusals: WeakValueDictionary[str, Refusals] = WeakValueDictionary()
        self._doors: dict[str, set[tuple[str, Protocol]]] = {}
        self._keys: dict[tuple[str, Protocol], set[str]] = {}
        self._active: set[tuple[str, Protocol]] = set()
        self._waitlists: dict[str, Waitlist] = {}
        self._first_rooms: dict[str, int] = {}
        for name, most in self._limits.items():
            for key in {name, organisation_of(name)}:
                self._first_rooms[key] = min(most, self._first_rooms.get(key, START_LIMIT))
        self._most_unproven = max(slots // 2, 2 * START_LIMIT) if slots else sys.maxsize
        self._unproven = 0

    def rooms(self) -> dict[str, int]:
        """Return how many more rows pace keys bear: the narrowest of a key's gates counts.

        Those that bear as many as a key of which nothing is known are left out: most have nobody at them. Where nobody
        has knocked, what the operator allows a host counts, and is taken for its organisation's, as keys are.
        """
        now = self._now()
        default_room = self.default_room()
        is_crowded = default_room == 0
        rooms = {key: room for key, room in self._first_rooms.items() if room < default_room and key not in self._doors}
        for name in list(self._gates if is_crowded else self._active):
            gate = self._gates[name]
            room = self._room_for_rows(gate, now)
            if gate.is_idle and START_LIMIT <= room < MANY:
                self._active.discard(name)
                if not is_crowded:
                    continue
            offers, others = self._share(name, room, now)
            for key in self._keys[name]:
                share = offers.get(key, others)
                rooms[key] = min(share, rooms.get(key, share))
        return rooms

    def room_of(self, pace_key: str) -> int:
        """Return how many more rows one pace key bears."""
        now = self._now()
        doors = self._doors.get(pace_key, set())
        unknown = min(self.default_room(), self._first_rooms.get(pace_key, START_LIMIT))
        return min((self._room_for_rows(self._gates[door], now) for door in doors), default=unknown)

    def default_room(self) -> int:
        """Return how many rows a key bears of which nothing is known."""
        return START_LIMIT if self._unproven < self._most_unproven else 0

    def shut_for(self, door: str, protocol: Protocol) -> Code | None:
        """Return why a host is left alone, for the wording of a row that met it so; None: it is not."""
        gate = self._gates.get((door, protocol))
        return gate.shut if gate is not None else None

    def end_for(self, door: str, protocol: Protocol) -> Code | None:
        """Return what a row comes to without a dial, since its host has taken none for too long; None: dial."""
        gate = self._gates.get((door, protocol))
        return gate.hopeless(self._now(), self._patience_seconds) if gate is not None else None

    def is_given_up(self, door: str, protocol: Protocol) -> bool:
        """Tell whether a host has taken nobody for so long that its rows are not tried again."""
        gate = self._gates.get((door, protocol))
        return gate is not None and gate.is_given_up(self._now(), self._patience_seconds)

    def knows(self, door: str, protocol: Protocol, way: Way) -> bool:
        """Tell whether logins were answered there, so that silence or a refusal is no matter of wrong settings."""
        gate = self._gates.get((door, protocol))
        return gate is not None and gate.knows(way)

    def count_states(self) -> Counter[tuple[str, str]]:
        """Count the gates by protocol and by how they are paced: shut, paused, slowed or open."""
        now = self._now()
        return Counter((protocol.value, gate.state(now)) for (_, protocol), gate in self._gates.items())

    def describe(self, most: int = MOST_SHOWN) -> list[dict[str, object]]:
        """Return what is known of the gates, those in trouble first, then the busiest; for the debug view."""
        now = self._now()
        shown = heapq.nsmallest(
            most, self._gates.items(), key=lambda entry: (entry[1].state(now) == "open", -entry[1].in_use, entry[0])
        )
        return [
            {
                "door": door,
                "protocol": protocol.value,
                "state": gate.state(now),
                "limit": int(min(gate.limit, gate.cap)),
                "room": gate.room(now),
                "inUse": gate.in_use,
                "waiting": gate.waiting,
                "strays": gate.strays,
                "loginsPerMinute": round(gate.tempo.rate * 60, 1) or None,
                "pauseSeconds": round(gate.seconds_to_room(now), 1),
                "refusedLately": gate.count_refusals(now, 600.0),
                "shut": gate.shut.value if gate.shut else None,
            }
            for (door, protocol), gate in shown
        ]

    @contextlib.asynccontextmanager
    async def turn(
        self,
        door: str,
        protocol: Protocol,
        *,
        is_big: bool = False,
        is_own: bool = False,
        pace_key: str = "",
        host: str = "",
        way: Way | None = None,
        seconds: float = TURN_SECONDS,
    ) -> AsyncIterator[None]:
        """Wait for a turn at a door and hold it.

        `pace_key`: of the row that knocks there; `host`: by what name; `way`: by what port and encryption.

        Raises:
            NoTurn: none came within `seconds`.
        """
        name = (door, protocol)
        gate = self._open(name, is_big=is_big, is_own=is_own, pace_key=pace_key, host=host)
        if way is not None and gate.is_stray(way):
            with self._stray(gate):
                yield
            return
        is_unproven = not gate.is_proven
        self._unproven += is_unproven
        try:
            await self._take(name, pace_key or door, seconds)
            try:
                yield
            finally:
                self._turns[name].give_back()
        finally:
            self._unproven -= is_unproven

    @contextlib.contextmanager
    def _stray(self, gate: Gate) -> Iterator[None]:
        if gate.room_for_strays(self._now()) <= 0:
            raise NoTurn(max(gate.seconds_to_room(self._now()), STRAY_SECONDS))
        gate.strays += 1
        try:
            yield
        finally:
            gate.strays -= 1

    async def _take(self, name: tuple[str, Protocol], pace_key: str, seconds: float) -> None:
        waits = await self._turns[name].take(seconds)
        waitlist = self._waitlists.setdefault(name[0], Waitlist())
        if waits:
            waitlist.join(pace_key)
            raise NoTurn(waits)
        waitlist.leave(pace_key)

    def _share(self, name: tuple[str, Protocol], room: int, now: float) -> tuple[Mapping[str, int], int]:
        """Return the room of keys that wait at a door, and of each other key; a door of one key needs no list."""
        waitlist = self._waitlists.get(name[0])
        if waitlist is None or room >= MANY or len(self._keys[name]) == 1:
            return {}, room
        return waitlist.share(room, now)

    def observe(self, door: str, protocol: Protocol, code: Code, way: Way) -> None:
        """Learn from how a check at a host ended, after its turn."""
        gate = self._gates.get((door, protocol))
        if gate is not None:
            gate.observe(code, way, self._now())
            self._turns[door, protocol].look_soon()

    def _room_for_rows(self, gate: Gate, now: float) -> int:
        if gate.hopeless(now, self._patience_seconds):
            return MANY
        if not gate.is_proven and self._unproven >= self._most_unproven:
            return 0
        return max(0, gate.room(now) - gate.waiting)

    def _open(self, name: tuple[str, Protocol], *, is_big: bool, is_own: bool, pace_key: str, host: str) -> Gate:
        gate = self._gates.get(name)
        if gate is None:
            if len(self._gates) >= KEYS_KEPT:
                self._forget()
            refusals = self._refusals.setdefault(name[0], Refusals())
            gate = self._gates[name] = Gate(is_big=is_big, is_own=is_own, refusals=refusals)
            self._turns[name], self._keys[name] = Turns(gate, self._now), set()
        for known_as in (name[0], pace_key, host) if self._limits else ():
            if known_as in self._limits:
                # Whoever names a host knows what it bears, also wrong passwords.
                gate.cap, gate.is_big = min(gate.cap, self._limits[known_as]), True
        key = pace_key or name[0]
        if key not in self._keys[name]:
            self._keys[name].add(key)
            self._doors.setdefault(key, set()).add(name)
        self._active.add(name)
        return gate

    def _forget(self) -> None:
        """Drop the half of the idle gates that were used longest ago."""
        idle = sorted((gate.last_used_at, name) for name, gate in self._gates.items() if gate.is_idle)
        for _, name in idle[: len(idle) // 2 + 1]:
            del self._gates[name], self._turns[name], self._keys[name]
            self._active.discard(name)
        self._waitlists = {door: self._waitlists[door] for door, _ in self._gates if door in self._waitlists}
        kept = {key: doors & self._gates.keys() for key, doors in self._doors.items()}
        self._doors = {key: doors for key, doors in kept.items() if doors}
