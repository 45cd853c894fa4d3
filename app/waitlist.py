"""Pure (it is given the time): who is next at a door that many rows of different keys knock at.

A row is claimed by its pace key, before anybody knows which machine its host's name stands for. Once its key is known
to lead to a door that is busy, it gets room in the order of those who found no turn there, and none otherwise: a
thousand names of one machine claim no more rows than the machine bears.
"""

from dataclasses import dataclass, field
from typing import Final

OFFER_SECONDS: Final = 2.0
"""How long room is kept for a key whose rows may be at another worker, or not due yet."""


@dataclass(slots=True)
class Waitlist:
    """The keys that wait at one door, first come, first served: key to when it was first offered room; 0: not yet."""

    _keys: dict[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._keys)

    def join(self, key: str) -> None:
        """A row of a key found no turn. Who had room offered already goes to the end."""
        if self._keys.get(key):
            del self._keys[key]
        self._keys.setdefault(key, 0.0)

    def leave(self, key: str) -> None:
        """A row of a key found its turn."""
        self._keys.pop(key, None)

    def share(self, room: int, now: float) -> tuple[dict[str, int], int]:
        """Return for how many rows of which waiting key there is room now, and what is left for all the others."""
        offers: dict[str, int] = {}
        for key, offered_at in list(self._keys.items()):
            if offered_at and now - offered_at > OFFER_SECONDS:
                del self._keys[key]
            elif room > len(offers):
                offers[key] = 1
                self._keys[key] = offered_at or now
            else:
                break
        return offers, room - len(offers) if len(offers) == len(self._keys) else 0
