"""Pure (it is given the time): what is known of one mail host's patience, and how many checks may knock at it now.

What a check's end says of the host is read from its code. Good ends let the limit grow; "too many connections" shows a
ceiling, which stays known; "rate limited" shows how many logins a minute it bears; other trouble halves the limit and
pauses, longer each time (AIMD, as TCP: RFC 5681, section 3.1). Refused logins on a small host slow it down, since many
ban an address after ten; a host that begins to refuse us after several is *shut*, as is one that answers nobody: one
probe at a time, until it answers again.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from app.codes import Code
from app.load import OF_THE_WAY, Signal, Way, read_signal
from app.tempo import MINUTE, Tempo

START_LIMIT: Final = 10
MOST: Final = 400
MOST_AT_STRANGERS: Final = 40
"""At hosts that are no known provider's; Postfix takes 50 from one address (smtpd_client_connection_count_limit)."""

SILENT_LIMIT: Final = 5.0
FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 120.0
MOST_SIGNS_OF_ONE: Final = 2
"""At known providers, and of a server's own trouble, so many bad ends in a row may be of single mailboxes."""

BURST_SECONDS: Final = 2.0
FIRST_HOLD_SECONDS: Final = 15.0
LONGEST_HOLD_SECONDS: Final = 600.0
REFUSALS_BEFORE_CARE: Final = 5
REFUSALS_BEFORE_BAN: Final = 3
"""After so many refused logins, a host that refuses connections is taken to have banned us; fail2ban's own is five."""

CARE_SECONDS: Final = 1.0
FUSE_SECONDS: Final = 600.0
"""How long hosts remember refused logins; fail2ban's own default for both its window and its ban."""

MOST_STRAYS: Final = 5
"""Checks at a time on ports, or in TLS modes, that nobody was answered in, where others are known to work."""

SILENCES_BEFORE_SHUT: Final = 8
FIRST_PROBE_SECONDS: Final = 15.0
LONGEST_PROBE_SECONDS: Final = 120.0
LONGEST_LOOK_SECONDS: Final = 30.0
"""Between looks at a host that is silent: it takes no offence, and who mended it wants to see it work."""

IDLE_SECONDS: Final = 300.0
STRANGER_SECONDS: Final = 150.0
"""How long a host is waited for that has never answered: as long as one of its rows would be tried."""

_SAYS_LATER: Final = frozenset({Signal.CROWDED, Signal.TOO_FAST})
"""Who says so is there, and will come round: others may have used up what it bears."""


class Refusals(deque[float]):
    """When a host refused logins lately: the last fifty."""

    def __init__(self) -> None:
        super().__init__(maxlen=50)


@dataclass(slots=True)
class Gate:
    """What is known of one host. Times are seconds of any steady clock.

    `cap`: the operator's most at a time. `is_big`: a provider that does not ban for a few wrong passwords. `is_own`: in
    a network of the operator's own.
    `in_use`, `waiting`: checks that run, and that wait for a turn; `strays`: those that run apart, since they go by
    ways in which nobody was answered, beside ways that work. `limit` grows up to `ceiling`. `bad`, `bad_since`: the
    first trouble since somebody was answered. `shut`: why the host is left alone but for probes. `refusals`: when
    logins were refused, of both protocols of a host: who bans, bans from all its ports.
    """

    cap: int = MOST
    is_big: bool = False
    is_own: bool = False
    in_use: int = 0
    waiting: int = 0
    strays: int = 0
    limit: float = START_LIMIT
    ceiling: float = MOST
    tempo: Tempo = field(default_factory=Tempo)
    opens_at: float = 0.0
    bad: Code | None = None
    bad_since: float = 0.0
    shut: Code | None = None
    shut_at: float = 0.0
    last_used_at: float = 0.0
    refusals: Refusals = field(default_factory=Refusals)
    _good_ways: set[Way] = field(default_factory=set)
    _pause: float = FIRST_PAUSE_SECONDS
    _hold: float = FIRST_HOLD_SECONDS
    _ceiling_at: float = 0.0
    _burst_at: float = -MINUTE
    _burst_limit: float = START_LIMIT
    _streak: int = 0
    _refused: int = 0
    _is_probed: bool = False
    _silences: int = 0
    _fuse: int = 0

    def room(self, now: float) -> int:
        """Return how many more checks may start now."""
        if now < self.opens_at:
            return 0
        most = 1 if self.shut or self.tempo.is_probing else min(int(self.limit), self.cap, self.most())
        return self.tempo.room(now, max(0, most - self.in_use))

    def state(self, now: float) -> str:
        """Return in a word how the host is paced: shut, paused, slowed (a bound is known) or open."""
        if self.shut:
            return "shut"
        if now < self.opens_at:
            return "paused"
        return "slowed" if self.tempo.rate or self.tempo.is_probing or self.ceiling < MOST else "open"

    @property
    def is_proven(self) -> bool:
        """Whether anybody was answered."""
        return bool(self._good_ways)

    @property
    def is_idle(self) -> bool:
        """Whether nobody is at it or waits for it."""
        return not (self.in_use or self.waiting or self.strays)

    def is_stray(self, way: Way) -> bool:
        """Tell whether nobody was answered that way, though others were in other ways."""
        return self.is_proven and way not in self._good_ways

    def room_for_strays(self, now: float) -> int:
        """Return how many more checks may start by ways that are not known to work."""
        return 0 if now < self.opens_at or self.shut else max(0, MOST_STRAYS - self.strays)

    def most(self) -> int:
        """Return how many checks at a time the kind of host bears at best."""
        return MOST if self.is_big or self.is_own else MOST_AT_STRANGERS

    def seconds_to_room(self, now: float) -> float:
        """Return how long until there may be room, as far as that depends on time alone."""
        return max(self.opens_at - now, self.tempo.seconds_to_room(now), 0.0)

    def start(self, now: float) -> None:
        """A check begins."""
        if self._is_stale(now):
            self._begin_anew()
        self.in_use += 1
        self.last_used_at = now
        self._is_probed = self.shut is not None
        self.tempo.start(now)

    def is_given_up(self, now: float, patience_seconds: float) -> bool:
        """Tell whether the host has taken nobody for so long that its rows are not tried again."""
        if self.bad is None or self._is_stale(now):
            return False
        if not self._good_ways and read_signal(self.bad) not in _SAYS_LATER:
            patience_seconds = min(patience_seconds, STRANGER_SECONDS)
        return now - self.bad_since >= patience_seconds

    def hopeless(self, now: float, patience_seconds: float) -> Code | None:
        """Return what the host's rows come to without a dial, since it is given up; None: dial, as the next probe."""
        is_over = self.is_given_up(now, patience_seconds) and self.room(now) == 0
        return (self.shut or self.bad) if is_over else None

    def knows(self, way: Way) -> bool:
        """Tell whether logins were answered that way."""
        return way in self._good_ways

    def observe(self, code: Code, way: Way, now: float) -> None:
        """Learn from how a check ended, after it gave its turn back."""
        signal = read_signal(code)
        if code in OF_THE_WAY and self._good_ways and way not in self._good_ways:
            return  # a port that is not in use, or not for that encryption, tells nothing of one that is
        self._streak += 1
        if signal is Signal.NEUTRAL:
            self.bad, self._silences, self._streak = None, 0, 0
        elif signal in {Signal.GOOD, Signal.REFUSED_LOGIN}:
            self.bad, self._streak = None, 0
            self._note_answer(way, now)
            if signal is Signal.GOOD:
                self._grow(now)
            else:
                self._take_care(now)
        else:
            if self.bad is None:
                self.bad, self.bad_since = code, now
            self._note_trouble(signal, code, now)

    def _note_trouble(self, signal: Signal, code: Code, now: float) -> None:
        if self.shut:
            self._postpone_probe(now)
            return
        is_of_one = self._streak <= MOST_SIGNS_OF_ONE
        match signal:
            case Signal.TROUBLE | Signal.CROWDED | Signal.TOO_FAST if is_of_one and self.is_big:
                pass
            case Signal.TROUBLE if self._streak == 1:
                pass
            case Signal.CROWDED:
                self._lower_ceiling(now)
            case Signal.TOO_FAST:
                self._slow_down(now)
            case Signal.REFUSES_US:
                self._note_refusal(code, now)
            case Signal.TROUBLE:
                self._back_off(now)
            case _:  # silent
                self._note_silence(now)

    def _is_stale(self, now: float) -> bool:
        return now - max(self.last_used_at, self.opens_at) > IDLE_SECONDS

    def _begin_anew(self) -> None:
        """Forget what may be true no more."""
        self.bad = self.shut = None
        self._silences = 0
        self.limit, self._pause = min(self.limit, float(START_LIMIT)), FIRST_PAUSE_SECONDS
        self.tempo.forget()

    def _note_answer(self, way: Way, now: float) -> None:
        self.tempo.note_answer(now)
        self._good_ways.add(way)
        self._silences = 0
        if self.shut and self._is_probed:  # an answer to what began before says nothing of now
            self.shut = None
            self.refusals.clear()
            self.limit, self.opens_at = 2.0, min(self.opens_at, now)

    def _grow(self, now: float) -> None:
        self._pause, self._refused = FIRST_PAUSE_SECONDS, 0
        if now - self._ceiling_at > self._hold and self.ceiling < MOST and self.limit >= self.ceiling:
            self.ceiling, self._ceiling_at = self.ceiling + max(1.0, self.ceiling / 10), now
        # One more for each good end at first; later two more a round.
        step = 1.0 if self.limit < START_LIMIT else 2.0 / self.limit
        self.limit = min(self.ceiling, float(self.most()), self.limit + step)
        self.tempo.raise_rate(now)

    def _take_care(self, now: float) -> None:
        self.refusals.append(now)
        if self.shut and self._fuse:
            self._fuse += 1  # it was on its way when the ban began
        if self.is_big or self.shut:
            return
        self._refused += 1
        if self._refused >= REFUSALS_BEFORE_CARE:
            # Nobody gets in: this looks like a search for passwords, to the host and to us.
            self.limit = max(2.0, min(self.limit, START_LIMIT) / 2)
            self.opens_at = max(self.opens_at, now + min(self._refused / REFUSALS_BEFORE_CARE, CARE_SECONDS))
        spare = max(REFUSALS_BEFORE_BAN, self._fuse - 2)
        if self._fuse and self.count_refusals(now, FUSE_SECONDS) >= spare:
            # It banned us after so many once; wait until it has forgotten some.
            self.opens_at = max(self.opens_at, self.refusals[-spare] + FUSE_SECONDS)

    def count_refusals(self, now: float, seconds: float) -> int:
        """Return how many logins were refused lately, as far as they are remembered."""
        return sum(1 for refused_at in self.refusals if refused_at > now - seconds)

    def _lower_ceiling(self, now: float) -> None:
        if now - self._burst_at > BURST_SECONDS:
            self._burst_at, self._burst_limit = now, self.limit
            is_probe = self.ceiling < MOST
            self._hold = min(self._hold * 2, LONGEST_HOLD_SECONDS) if is_probe else FIRST_HOLD_SECONDS
        # What is in flight found room; one burst takes half at most.
        found = max(float(self.in_use), self._burst_limit / 2, 1.0)
        self.ceiling, self._ceiling_at = min(self.ceiling, found), now
        self.limit = min(self.limit, self.ceiling)
        if self.in_use:
            self.opens_at = max(self.opens_at, now + 0.2)
        elif now >= self.opens_at:
            self._wait(now)

    def _slow_down(self, now: float) -> None:
        if now < self.opens_at:
            return  # one burst is one sign
        until = self.tempo.slow_down(now)
        if until:
            self.opens_at = until
        else:
            self._wait(now)

    def _note_refusal(self, code: Code, now: float) -> None:
        refusals = self.count_refusals(now, FUSE_SECONDS)
        if refusals >= REFUSALS_BEFORE_BAN and self._good_ways and not self.is_big:
            self._fuse = refusals
            self._shut(Code.IP_BLOCKED, now)
        elif code is Code.CONNECTION_REFUSED and not self._good_ways:
            self.limit = max(2.0, self.limit / 2)  # nothing listens there: no reason to wait, none to press
        else:
            self._back_off(now)

    def _note_silence(self, now: float) -> None:
        self._silences += 1
        if (
            self._silences >= 2
            and self._good_ways
            and not self.is_big
            and self.count_refusals(now, FUSE_SECONDS) >= REFUSALS_BEFORE_BAN
        ):
            self._fuse = self.count_refusals(now, FUSE_SECONDS)
            self._shut(Code.IP_BLOCKED, now)
        elif self._silences >= SILENCES_BEFORE_SHUT:
            self._shut(Code.CONNECTION_TIMEOUT, now)
        else:
            self.limit = max(min(SILENT_LIMIT, self.limit), self.limit / 2)

    def _shut(self, why: Code, now: float) -> None:
        self.shut, self.shut_at = why, now
        self.opens_at = now + FIRST_PROBE_SECONDS

    def _postpone_probe(self, now: float) -> None:
        if now >= self.opens_at:
            shut_for = now - self.shut_at
            longest = LONGEST_PROBE_SECONDS if self.shut is Code.IP_BLOCKED else LONGEST_LOOK_SECONDS
            self.opens_at = now + min(max(FIRST_PROBE_SECONDS, shut_for * 0.15), longest)

    def _back_off(self, now: float) -> None:
        if now < self.opens_at:
            return  # one burst is one sign
        self.limit = max(1.0, min(self.limit, float(max(self.in_use, 1))) / 2)
        self._wait(now)

    def _wait(self, now: float) -> None:
        self.opens_at = now + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
