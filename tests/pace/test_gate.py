"""What a host's answers do to its gate: it opens with good ends, narrows with trouble, and forgets."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.codes import Code
from app.gate import (
    FIRST_PROBE_SECONDS,
    IDLE_SECONDS,
    MOST,
    MOST_AT_STRANGERS,
    MOST_STRAYS,
    REFUSALS_BEFORE_CARE,
    SILENCES_BEFORE_SHUT,
    START_LIMIT,
    STRANGER_SECONDS,
    Gate,
)
from app.load import Signal, Way, read_signal
from app.model import Encryption
from app.tempo import MINUTE

WAY: Way = (465, Encryption.SSL)
OTHER: Way = (587, Encryption.STARTTLS)


def end(gate: Gate, code: Code, now: float, times: int = 1, way: Way = WAY) -> None:
    """Run checks one after the other to an end."""
    for _ in range(times):
        gate.start(now)
        gate.in_use -= 1
        gate.observe(code, way, now)


def fill(gate: Gate, now: float) -> int:
    """Start as many checks as there is room for."""
    count = 0
    while gate.room(now) > 0:
        gate.start(now)
        count += 1
    return count


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


def banned(at: float, refusals: int = 10) -> Gate:
    gate = Gate()
    end(gate, Code.OK, at)
    end(gate, Code.INVALID_CREDENTIALS, at, times=refusals)
    end(gate, Code.CONNECTION_REFUSED, at)
    assert gate.shut
    return gate


def test_probes_become_rarer_while_a_host_is_shut() -> None:
    gate = banned(0)
    waits = []
    for _ in range(30):
        now = gate.opens_at
        end(gate, Code.CONNECTION_REFUSED, now)
        waits.append(gate.opens_at - now)
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (FIRST_PROBE_SECONDS, 120)


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


def test_refusals_that_were_on_their_way_when_the_ban_began_were_borne_too() -> None:
    gate = banned(0, refusals=10)
    for _ in range(4):
        gate.observe(Code.INVALID_CREDENTIALS, WAY, 1)
    assert gate.shut
    assert refused_after(banned(0, refusals=10)) < refused_after(gate) < 14


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
