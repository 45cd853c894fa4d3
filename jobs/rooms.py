"""Pure: room at crowded hosts, shared fairly by the drains of one process that have rows for them.

What comes free at a host goes to the workspace that has the fewest checks there; within it, to the request that has the
fewest; of equals, to who has waited longest. Hosts are known by the rows' pace keys. Checks that have begun and are on
their way (their host's name is looked up, say) have taken room there too, which the pace does not know of yet.
Claims of several requests that are under way together do not know of each other: the host's gate holds them up.
"""

import heapq
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Final, TypeAlias
from uuid import UUID

SPARE: Final = 1
"""How many checks more than it has room for are sent to a host: the next place that comes free there is taken at once.

Where there is room for one only, it may come with time, and the next one might wait for long.
"""

_Rank: TypeAlias = tuple[int, int, float]


class Rooms:
    """Who has checks at which host, how many are on their way there, and who waits for room."""

    def __init__(self) -> None:
        self._coming: Counter[str] = Counter()
        self._held: Counter[tuple[UUID, str]] = Counter()
        self._workspaces: dict[UUID, UUID] = {}
        self._keys: dict[UUID, Collection[str]] = {}
        self._places: dict[UUID, int] = {}
        self._next_place = 0
        self._waiting: dict[str, set[UUID]] = {}

    def begin(self, request_id: UUID, workspace_id: UUID, key: str) -> None:
        """A check of a request sets out for a host."""
        self._coming[key] += 1
        for owner in (request_id, workspace_id):
            self._held[owner, key] += 1

    def arrive(self, key: str) -> None:
        """A check that set out is there, or will not come."""
        self._coming[key] -= 1
        if not self._coming[key]:
            del self._coming[key]

    def end(self, request_id: UUID, workspace_id: UUID, key: str) -> None:
        """A check that began has ended."""
        for owner in (request_id, workspace_id):
            self._held[owner, key] -= 1
            if not self._held[owner, key]:
                del self._held[owner, key]

    def wait(self, request_id: UUID, workspace_id: UUID, keys: Collection[str]) -> None:
        """A request has rows for these hosts and found no room; who waits already keeps the place."""
        place = self._places.get(request_id, self._next_place)
        self.leave(request_id)
        self._next_place += 1
        self._workspaces[request_id], self._keys[request_id], self._places[request_id] = workspace_id, keys, place
        for key in keys:
            self._waiting.setdefault(key, set()).add(request_id)

    def leave(self, request_id: UUID) -> None:
        """A request waits no more."""
        for key in self._keys.pop(request_id, ()):
            self._waiting[key].discard(request_id)
            if not self._waiting[key]:
                del self._waiting[key]
        self._workspaces.pop(request_id, None)
        self._places.pop(request_id, None)

    def share(
        self, request_id: UUID, workspace_id: UUID, rooms: Mapping[str, int], default_room: int
    ) -> dict[str, int]:
        """Return the rooms for one request: what is taken, or kept for those who come before it, is taken off."""
        shared = {key: room + SPARE if room > 1 else room for key, room in rooms.items()}
        for key in {*self._coming, *self._waiting}:
            room = rooms.get(key, default_room)
            if room > 0:
                shared[key] = self.room_for(request_id, workspace_id, key, room)
        return shared

    def room_for(self, request_id: UUID, workspace_id: UUID, key: str, room: int) -> int:
        """Return the room for one request at one host, which has `room`."""
        before = self._count_before(request_id, workspace_id, key)
        spare = SPARE if room > 1 and not before else 0
        return max(0, room - self._coming[key] - before + spare)

    def next_at(self, key: str, room: int) -> list[UUID]:
        """Return the requests that wait at a host and have room there now, in their order."""
        waiting = self._waiting.get(key, ()) if room > 0 else ()
        return heapq.nsmallest(room, waiting, key=lambda one: self._rank(one, self._workspaces[one], key))

    def _count_before(self, request_id: UUID, workspace_id: UUID, key: str) -> int:
        waiting = self._waiting.get(key, ())
        if not waiting:
            return 0
        own = self._rank(request_id, workspace_id, key)
        return sum(self._rank(one, self._workspaces[one], key) < own for one in waiting if one != request_id)

    def _rank(self, request_id: UUID, workspace_id: UUID, key: str) -> _Rank:
        place = self._places.get(request_id, float("inf"))
        return self._held[workspace_id, key], self._held[request_id, key], place
