"""Pure (it is given the time): how many logins a minute a host bears, learnt from when it said "too fast".

Until it says so there is no bound. Then it is left alone for as long as most servers count, a minute; what it took in
the time until it took something again is its rate. The rate grows as long as nothing is said against it.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

MINUTE: Final = 60.0
SAFETY: Final = 0.95
FIRST_STEP: Final = 0.02
LEAST_RATE: Final = 1 / 120
"""Logins a second: one every two minutes."""

FEW_LOGINS: Final = 3
"""Fewer tell nothing of a minute's worth."""


@dataclass(slots=True)
class Tempo:
    """The rate of one host. `rate`: logins a second, 0: no bound is known. `is_probing`: one at a time, to see."""

    rate: float = 0.0
    is_probing: bool = False
    _logins: deque[float] = field(default_factory=lambda: deque(maxlen=600))
    _starts_at: float = 0.0
    _raised_at: float = 0.0
    _step: float = FIRST_STEP
    _slow_since: float = 0.0
    _slow_logins: int = 0

    def room(self, now: float, most: int) -> int:
        """Return how many more checks may start now, at most `most`."""
        if not self.rate:
            return most
        tokens = int((now - self._starts_at) * self.rate) + 1 if now >= self._starts_at else 0
        return min(most, tokens, max(1, int(self.rate)))

    def seconds_to_room(self, now: float) -> float:
        return max(self._starts_at - now, 0.0) if self.rate else 0.0

    def start(self, now: float) -> None:
        """A check begins."""
        if self.rate:
            # A turn that was not taken is lost, but for a second's worth.
            self._starts_at = max(self._starts_at, now - 1.0) + 1.0 / self.rate

    def note_answer(self, now: float) -> None:
        """A login was answered, whatever the answer."""
        self._logins.append(now)
        if not self.is_probing:
            return
        self.is_probing = False
        if self._slow_logins:
            # So many logins, and then none for so long: that is what it bears.
            self.rate = max(self._slow_logins / max(MINUTE, now - self._slow_since) * SAFETY, LEAST_RATE)
            self._starts_at = now + 1.0 / self.rate

    def raise_rate(self, now: float) -> None:
        """All is well: grow, more with every quiet minute."""
        if self.rate and now - self._raised_at > MINUTE:
            self.rate *= 1 + self._step
            self._step, self._raised_at = min(self._step * 2, 1.0), now

    def slow_down(self, now: float) -> float:
        """It was too fast. Returns until when to leave the host alone; 0: the window is longer than we thought."""
        self._raised_at, self._step = now, FIRST_STEP
        if self.is_probing:
            return 0.0
        lately = [answered_at for answered_at in self._logins if answered_at > now - MINUTE]
        self.is_probing, self.rate = True, 0.0
        self._slow_since, self._slow_logins = now, len(lately)
        return max(lately[0] + MINUTE, now + 1.0) if len(lately) >= FEW_LOGINS else 0.0

    def forget(self) -> None:
        """What was learnt may be true no more."""
        self.rate, self.is_probing = 0.0, False
