"""Pure: how far a drain looks into a request's queued rows for those it may claim.

Where hosts have room, what is wanted stands at the front: a few rows are looked at for each that is wanted, and many
only when those brought too little. A look begins where the last one found the first queued row: before it lie rows that
are done, and PostgreSQL would walk over what it still holds of them. Rows that come back there are seen a second later.
Where nothing is left but rows of hosts without room, PostgreSQL would walk over all of them to find none: but for one a
second, no look is made before one of these hosts has room again.
"""

from typing import Final

NEAR: Final = 4
FAR: Final = 50
"""How many queued rows are looked at for each that is wanted: far passes over those whose hosts have little room."""

FAR_SECONDS: Final = 0.1
"""How long no far look is made after one that brought too little, as long as there is something near.

Rows of a host that comes free behind those of a crowded one wait for so long; it shows where checks take less.
"""
FRONT_SECONDS: Final = 1.0
"""How often a look begins at the first row."""

REST_SECONDS: Final = 1.0
"""How long it is believed that what is queued is at hosts without room; rows of others may come back meanwhile."""


class Looks:
    """The next look of one drain: from which row on, and how far. The first one is whole."""

    def __init__(self) -> None:
        self.from_row = 1
        self.scan_factor = FAR
        self._far_at = 0.0
        self._front_at = 0.0
        self.rests_until = 0.0
        self.is_barren = False
        """Whether the last look was whole and brought nothing."""

    @property
    def is_whole(self) -> bool:
        """Whether a look that brings nothing means that there is nothing."""
        return self.from_row == 1 and self.scan_factor == FAR

    def is_resting(self, now: float) -> bool:
        """Whether what is queued is believed to be at hosts without room."""
        return now < self.rests_until

    def note(self, wanted: int, claimed: int, first_row: int, now: float) -> None:
        """Decide on the next look by what the last one brought.

        `first_row`: the first queued row that it found, whether it was claimed or not. `now`: steady seconds.
        """
        self.is_barren = self.is_whole and not claimed
        if self.is_barren:
            self.rests_until = now + REST_SECONDS
        if self.from_row == 1:
            self._front_at = now + FRONT_SECONDS
        if self.scan_factor == FAR and claimed < wanted:
            self._far_at = now + FAR_SECONDS
        if not claimed:
            self.from_row, self.scan_factor = 1, FAR
            return
        self.from_row = first_row if now < self._front_at else 1
        self.scan_factor = FAR if claimed < wanted and now >= self._far_at else NEAR
