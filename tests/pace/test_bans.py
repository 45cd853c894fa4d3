"""Hosts that refuse us, or answer nobody, are left alone until they answer again."""

import pytest

from app.codes import Code
from app.gate import (
    FIRST_PROBE_SECONDS,
    REFUSALS_BEFORE_CARE,
    SILENCES_BEFORE_SHUT,
    START_LIMIT,
    STRANGER_SECONDS,
    Gate,
)
from app.tempo import MINUTE
from tests.pace.hosts import WAY, banned, end, fill


def test_refused_logins_in_a_row_slow_a_small_host_and_no_big_one() -> None:
    small, big = Gate(), Gate(is_big=True)
    for gate in (small, big):
        end(gate, Code.OK, 1, times=100)
        end(gate, Code.INVALID_CREDENTIALS, 2, times=REFUSALS_BEFORE_CARE)
    assert small.room(2) == 0
    assert small.limit < START_LIMIT
    assert big.room(2) > START_LIMIT


@pytest.mark.parametrize("code", [Code.CONNECTION_REFUSED, Code.CONNECTION_CLOSED, Code.IP_BLOCKED])
def test_host_that_refuses_us_after_refused_logins_is_left_alone(code: Code) -> None:
    gate = Gate()
    end(gate, Code.OK, 1)
    for second in range(REFUSALS_BEFORE_CARE):
        end(gate, Code.INVALID_CREDENTIALS, 100.0 * second)
    end(gate, code, 500)
    assert gate.shut is Code.IP_BLOCKED
    assert gate.room(500 + FIRST_PROBE_SECONDS - 1) == 0
    assert gate.room(500 + FIRST_PROBE_SECONDS) == 1


def test_refusal_without_refused_logins_is_no_ban() -> None:
    gate = Gate()
    end(gate, Code.OK, 1, times=100)
    end(gate, Code.CONNECTION_REFUSED, 2)
    assert gate.shut is None
    assert gate.room(2) == 0


def test_one_silence_after_refused_logins_is_no_ban_and_two_are() -> None:
    gate = Gate()
    end(gate, Code.OK, 1)
    end(gate, Code.INVALID_CREDENTIALS, 2, times=REFUSALS_BEFORE_CARE)
    end(gate, Code.CONNECTION_TIMEOUT, 20)
    assert gate.state(20) == "open"
    end(gate, Code.CONNECTION_TIMEOUT, 20)
    assert gate.shut is Code.IP_BLOCKED


def test_known_provider_is_not_taken_to_ban() -> None:
    gate = Gate(is_big=True)
    end(gate, Code.OK, 1)
    end(gate, Code.INVALID_CREDENTIALS, 2, times=50)
    end(gate, Code.CONNECTION_REFUSED, 3)
    assert gate.shut is None


def test_probes_become_rarer_while_a_host_is_shut() -> None:
    gate = banned(0)
    waits = []
    for _ in range(30):
        now = gate.opens_at
        end(gate, Code.CONNECTION_REFUSED, now)
        waits.append(gate.opens_at - now)
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (FIRST_PROBE_SECONDS, 120)


def test_silent_host_is_looked_at_twice_a_minute_at_least() -> None:
    gate = Gate()
    end(gate, Code.CONNECTION_TIMEOUT, 1, times=SILENCES_BEFORE_SHUT)
    for _ in range(40):
        now = gate.opens_at
        end(gate, Code.CONNECTION_TIMEOUT, now)
        assert gate.opens_at - now <= 30


def test_answer_to_what_began_before_the_ban_does_not_lift_it() -> None:
    gate = banned(0)
    gate.in_use += 1
    gate.in_use -= 1
    gate.observe(Code.OK, WAY, 1)
    assert gate.state(1) == "shut"
    end(gate, Code.OK, gate.opens_at)
    assert gate.state(gate.opens_at) == "open"
    assert gate.room(gate.last_used_at) >= 2


def refused_after(gate: Gate) -> int:
    """Return how many refused logins a host is given in the time after a ban that it remembers."""
    now, refused = 700.0, 0
    while gate.shut:
        now = max(now, gate.opens_at)
        end(gate, Code.OK, now)
    for second in range(int(now) + 1, int(now) + 500):
        if gate.room(second):
            end(gate, Code.INVALID_CREDENTIALS, second)
            refused += 1
    return refused


def test_once_banned_it_stays_below_what_was_too_much() -> None:
    assert refused_after(banned(0, refusals=10)) < 10


def test_host_that_answers_nobody_is_shut_and_its_rows_end() -> None:
    gate = Gate()
    end(gate, Code.CONNECTION_TIMEOUT, 10, times=SILENCES_BEFORE_SHUT - 1)
    assert gate.state(10) == "open"
    end(gate, Code.CONNECTION_TIMEOUT, 10)
    assert gate.shut is Code.CONNECTION_TIMEOUT
    assert gate.hopeless(11, 900) is None
    now = 10.0
    while now < 10 + STRANGER_SECONDS:
        now = gate.opens_at
        end(gate, Code.CONNECTION_TIMEOUT, now)
    assert gate.hopeless(now + 1, 900) is Code.CONNECTION_TIMEOUT
    assert gate.hopeless(gate.opens_at, 900) is None  # the next one is the probe


def test_host_that_was_good_is_waited_for_longer() -> None:
    gate = banned(0)
    now = 0.0
    while now < 880:
        now = gate.opens_at
        end(gate, Code.CONNECTION_REFUSED, now)
        assert now > 900 or gate.hopeless(now, 900) is None
    assert gate.hopeless(max(now, 901) + 1, 900) is Code.IP_BLOCKED


def test_refusals_on_their_way_when_the_ban_began_count_for_what_was_too_much() -> None:
    gate = Gate()
    end(gate, Code.OK, 1)
    end(gate, Code.INVALID_CREDENTIALS, 2, times=5)
    fill(gate, 10)
    gate.observe(Code.CONNECTION_REFUSED, WAY, 10)
    for _ in range(5):
        gate.observe(Code.INVALID_CREDENTIALS, WAY, 10)
    gate.in_use = 0
    while gate.shut:
        end(gate, Code.OK, gate.opens_at)
    now = gate.opens_at
    end(gate, Code.INVALID_CREDENTIALS, now, times=7)
    assert gate.seconds_to_room(now) < MINUTE
    end(gate, Code.INVALID_CREDENTIALS, now)  # eight of the ten that it bore
    assert gate.seconds_to_room(now) == 600
