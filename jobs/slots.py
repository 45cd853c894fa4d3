"""I/O (it waits): the check slots of one worker process, shared fairly by workspaces and, within them, by drains."""

import asyncio
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

GATHER_SECONDS: Final = 0.03
"""How long a drain waits for more slots before it claims with those it has: one claim for many rows."""


@dataclass(eq=False, slots=True)
class _Ask:
    """One drain that asks for slots. `came`: it has one."""

    party: Hashable
    most: int
    came: asyncio.Future[None]
    taken: int = 0


class Slots:
    """A counted set of slots. Each goes to the party that holds the fewest; within it, to who asked first."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._held: Counter[Hashable] = Counter()
        self._asks: dict[_Ask, None] = {}

    @property
    def free(self) -> int:
        return self._free

    async def acquire(self, most: int, party: Hashable = None) -> int:
        """Wait for a slot, and gather up to `most` for a moment. Returns how many were taken, at least one.

        `party`: whose rows they are for, a workspace.
        """
        ask = _Ask(party, most, asyncio.get_running_loop().create_future())
        self._asks[ask] = None
        self._deal()
        try:
            await ask.came
            if ask.taken < most:
                await asyncio.sleep(GATHER_SECONDS)
        except asyncio.CancelledError:
            del self._asks[ask]
            self.release(ask.taken, party)
            raise
        del self._asks[ask]
        return ask.taken

    def describe(self) -> list[dict[str, object]]:
        """Return who asks for slots now, in the order in which the next ones go out."""
        order = sorted(self._asks, key=self._rank)
        return [
            {"workspaceId": str(ask.party), "wants": ask.most - ask.taken, "held": self._held[ask.party]}
            for ask in order
            if ask.taken < ask.most
        ]

    def release(self, count: int = 1, party: Hashable = None) -> None:
        """Give slots of a party back, and deal them out."""
        self._free += count
        self._held[party] -= count
        if not self._held[party]:
            del self._held[party]
        self._deal()

    def _deal(self) -> None:
        while self._free:
            asks = [ask for ask in self._asks if ask.taken < ask.most]
            if not asks:
                return
            # The first of equals: they stand in the order they came.
            ask = min(asks, key=self._rank)
            ask.taken += 1
            self._held[ask.party] += 1
            self._free -= 1
            if not ask.came.done():
                ask.came.set_result(None)

    def _rank(self, ask: _Ask) -> tuple[int, int]:
        return self._held[ask.party], ask.taken
