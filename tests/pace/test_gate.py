"""What a host's answers do to its gate: it opens with good ends, narrows with trouble, and forgets."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.codes import Code
from app.gate import (
    IDLE_SECONDS,
    MOST,
    MOST_AT_STRANGERS,
    MOST_STRAYS,
    SILENCES_BEFORE_SHUT,
    START_LIMIT,
    STRANGER_SECONDS,
    Gate,
)
from app.load import Signal, read_signal
from app.tempo import MINUTE
from tests.pace.hosts import OTHER, WAY, banned, end, fill


def test_it_starts_modestly_and_grows_with_good_ends() -> None:
    gate = Gate()
    assert gate.room(0) == START_LIMIT
    end(gate, Code.OK, 1, times=50)
    grown = gate.room(1)
    assert grown > START_LIMIT
    end(gate, Code.OK, 2, times=5000)
    assert gate.room(2) == MOST_AT_STRANGERS


def test_how_a_host_is_paced_is_told_in_a_word() -> None:
    gate = Gate()
    assert gate.state(0) == "open"
    end(gate, Code.TEMPORARY_SERVER_ERROR, 1, times=2)
    assert gate.state(1) == "paused"
    assert gate.state(gate.opens_at) == "open"
    end(gate, Code.TOO_MANY_CONNECTIONS, gate.opens_at)
    assert gate.state(gate.opens_at) == "slowed"
    end(gate, Code.CONNECTION_TIMEOUT, gate.opens_at, times=SILENCES_BEFORE_SHUT)
    assert gate.state(gate.opens_at) == "shut"


def test_known_providers_bear_more_and_operators_have_the_last_word() -> None:
    big, capped = Gate(is_big=True), Gate(cap=3)
    end(big, Code.OK, 1, times=100_000)
    assert big.room(1) == MOST
    end(capped, Code.OK, 1, times=1000)
    assert capped.room(1) == 3


def test_ceiling_is_found_kept_and_felt_for_again() -> None:
    gate = Gate()
    end(gate, Code.OK, 1, times=200)
    for _ in range(10):
        gate.start(2)
    gate.observe(Code.TOO_MANY_CONNECTIONS, WAY, 2)  # the eleventh was turned away
    assert gate.limit >= 10
    assert gate.room(2) == 0
    gate.in_use = 0
    assert gate.room(3) <= 20
    for _ in range(8):
        found = gate.limit
        for _ in range(int(found) - 1):
            gate.start(10)
        gate.observe(Code.TOO_MANY_CONNECTIONS, WAY, 10 + found)
        gate.in_use = 0
        assert gate.limit < found or found <= 1
    low = gate.limit
    end(gate, Code.OK, 100, times=100)
    end(gate, Code.OK, 2000, times=100)
    end(gate, Code.OK, 4000, times=100)
    assert gate.limit > low


def test_one_burst_halves_once() -> None:
    gate = Gate()
    fill(gate, 1)
    for _ in range(START_LIMIT):
        gate.in_use -= 1
        gate.observe(Code.TOO_MANY_CONNECTIONS, WAY, 1)
    assert gate.limit >= START_LIMIT / 2
    gate = Gate()
    fill(gate, 1)
    for _ in range(START_LIMIT):
        gate.in_use -= 1
        gate.observe(Code.TEMPORARY_SERVER_ERROR, WAY, 1)
    assert gate.limit >= START_LIMIT / 4
    assert gate.room(1) == 0


def test_pauses_double_and_end_with_a_good_answer() -> None:
    gate = Gate()
    now, pauses = 1.0, []
    end(gate, Code.TEMPORARY_SERVER_ERROR, now)
    for _ in range(12):
        end(gate, Code.TEMPORARY_SERVER_ERROR, now)
        pauses.append(gate.seconds_to_room(now))
        now = gate.opens_at
    assert pauses[:4] == [1, 2, 4, 8]
    assert max(pauses) == 120
    end(gate, Code.OK, now)
    end(gate, Code.TEMPORARY_SERVER_ERROR, now + 1, times=2)
    assert gate.seconds_to_room(now + 1) == 1


def test_trouble_of_one_mailbox_is_not_the_hosts() -> None:
    gate = Gate()
    end(gate, Code.OK, 1, times=300)
    for second in range(2, 200):
        before = gate.room(second)
        end(gate, Code.TEMPORARY_SERVER_ERROR, second)
        assert gate.room(second) == before
        end(gate, Code.OK, second)


@pytest.mark.parametrize("code", [Code.RATE_LIMITED, Code.TOO_MANY_CONNECTIONS, Code.TEMPORARY_SERVER_ERROR])
def test_known_provider_says_it_of_single_mailboxes_until_it_says_it_thrice_in_a_row(code: Code) -> None:
    gate = Gate(is_big=True)
    end(gate, Code.OK, 1, times=2000)
    before = gate.room(1)
    for second in range(2, 100):
        end(gate, code, second, times=2)
        end(gate, Code.OK, second)
    assert gate.room(100) >= before
    end(gate, code, 100, times=3)
    assert gate.room(100) < before


def test_rate_is_learnt_from_what_was_borne() -> None:
    gate = Gate()
    end(gate, Code.OK, 0.5, times=20)
    end(gate, Code.RATE_LIMITED, 1)
    assert gate.room(MINUTE) == 0
    assert gate.room(0.5 + MINUTE) == 1  # one at a time, to see
    end(gate, Code.OK, 61)
    assert gate.tempo.rate == pytest.approx(19 / MINUTE, rel=0.01)
    assert gate.room(61.1) == 0
    started = 0
    for tenth in range(620, 1210):
        if gate.room(tenth / 10) > 0:
            end(gate, Code.OK, tenth / 10)
            started += 1
    assert 17 <= started <= 20


def test_longer_closure_means_a_lower_rate() -> None:
    gate = Gate()
    end(gate, Code.OK, 0.5, times=20)
    now = 1.0
    while now < 600:
        end(gate, Code.RATE_LIMITED, now)
        now = gate.opens_at
    end(gate, Code.OK, now)
    assert gate.tempo.rate == pytest.approx(19 / now, rel=0.05)


def test_rate_grows_again_where_nothing_is_said() -> None:
    gate = Gate()
    end(gate, Code.OK, 0.5, times=20)
    end(gate, Code.RATE_LIMITED, 1)
    end(gate, Code.OK, 61)
    before = gate.tempo.rate
    for now in range(62, 1200):
        if gate.room(now):
            end(gate, Code.OK, now)
    assert gate.tempo.rate > 2 * before


def test_endless_rate_limit_ends_too() -> None:
    gate = Gate()
    end(gate, Code.OK, 0)
    now = 1.0
    while now < 1000:
        end(gate, Code.RATE_LIMITED, now)
        now = gate.opens_at
    assert gate.hopeless(gate.opens_at - 1, 900) is Code.RATE_LIMITED


def test_gate_that_nobody_came_to_is_tried_anew() -> None:
    gate = banned(0)
    later = gate.opens_at + IDLE_SECONDS + 1
    assert gate.hopeless(later, 1) is None
    gate.start(later)
    assert gate.shut is None


def test_port_that_is_not_in_use_tells_nothing_of_one_that_is() -> None:
    gate = Gate()
    end(gate, Code.OK, 1, times=100)
    before = gate.limit
    for code in (Code.CONNECTION_REFUSED, Code.CONNECTION_TIMEOUT, Code.CONNECTION_CLOSED):
        end(gate, code, 2, times=50, way=OTHER)
    assert (gate.limit, gate.shut, gate.room(2)) == (before, None, int(before))


def test_ways_that_are_not_known_to_work_have_a_few_turns_of_their_own() -> None:
    gate = Gate()
    assert not gate.is_stray(OTHER)
    end(gate, Code.OK, 1)
    assert gate.is_stray(OTHER)
    assert not gate.is_stray(WAY)
    gate.strays = MOST_STRAYS
    assert gate.room_for_strays(2) == 0
    assert gate.room(2) >= START_LIMIT


@pytest.mark.parametrize("code", Code)
def test_every_code_means_something_or_nothing(code: Code) -> None:
    assert isinstance(read_signal(code), Signal)
    gate = Gate()
    end(gate, code, 1)
    assert gate.room(1000) >= 1


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(list(Code)), st.floats(0, 200), st.integers(0, 1)), max_size=150), st.booleans()
)
def test_whatever_happens_it_opens_again(events: list[tuple[Code, float, int]], is_big: bool) -> None:
    gate, now = Gate(is_big=is_big), 0.0
    for code, pause, way in events:
        now += pause
        if gate.room(now) == 0:
            now += gate.seconds_to_room(now)
        end(gate, code, now, way=(WAY, OTHER)[way])
        assert gate.in_use == 0
        assert 1 <= gate.limit <= MOST
        assert gate.room(now) <= MOST
        assert gate.seconds_to_room(now) <= 601
        assert gate.room(now + gate.seconds_to_room(now) + 1e-6) >= 1


@pytest.mark.parametrize(
    ("code", "is_waited_for"),
    [
        (Code.RATE_LIMITED, True),
        (Code.TOO_MANY_CONNECTIONS, True),
        (Code.CONNECTION_REFUSED, False),
        (Code.CONNECTION_TIMEOUT, False),
    ],
)
def test_host_that_says_later_from_the_first_is_waited_for(code: Code, is_waited_for: bool) -> None:
    gate = Gate()
    end(gate, code, 0, times=2)
    assert gate.is_given_up(STRANGER_SECONDS + 1, 900) is not is_waited_for
    assert gate.is_given_up(299, 250)
