"""A host in trouble costs its own rows time, and nobody else's; and even its own rows end."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from app.codes import Code
from app.model import Outcome
from tests.fakes.clock import run_without_waiting
from tests.fakes.policed import HOST, RIGHT, Ban, Policed, policing
from tests.fakes.scripted import Do, serve
from tests.pace.driver import BUDGET, Drain, Row, mailbox

LONGEST_PROBE = 120.0


def drain(rows_of: Sequence[tuple[int, Policed]], *, silent: int = 0, silent_hosts: int = 1, slots: int = 200) -> Drain:
    """Drain `rows_of` (how many mailboxes on which server), one of each in turn, with `silent` rows between them."""

    async def run() -> Drain:
        async with AsyncExitStack() as stack:
            for _, server in rows_of:
                await stack.enter_async_context(policing(server))
            mutes = [f"127.0.1.{number}" for number in range(silent_hosts)]
            ports = [(await stack.enter_async_context(serve([Do.HANG], host=host))).port for host in mutes]
            queues = [[(HOST, server.port)] * count for count, server in rows_of]
            queues.append([(mutes[n % silent_hosts], ports[n % silent_hosts]) for n in range(silent)])
            rows: list[Row] = []
            while any(queues):
                for queue in filter(None, queues):
                    host, port = queue.pop()
                    rows.append(mailbox(len(rows) + 1, port, host=host))
            drained = Drain(rows, slots=slots)
            await drained.run()
            return drained

    return run_without_waiting(run())


def seconds_of_good(drained: Drain) -> float:
    return max(row.ended_after for row in drained.rows if row.outcome is Outcome.CONNECTED)


def test_silent_host_does_not_slow_the_other_half() -> None:
    alone = seconds_of_good(drain([(250, Policed())]))
    beside = drain([(250, Policed())], silent=250)
    assert beside.outcomes() == {Code.OK: 250, Code.CONNECTION_TIMEOUT: 250}
    assert seconds_of_good(beside) <= 1.2 * alone + 0.5


def test_many_silent_hosts_do_not_take_all_slots() -> None:
    alone = seconds_of_good(drain([(250, Policed())], slots=100))
    beside = drain([(250, Policed())], silent=250, silent_hosts=25, slots=100)
    assert beside.outcomes() == {Code.OK: 250, Code.CONNECTION_TIMEOUT: 250}
    assert seconds_of_good(beside) <= 1.2 * alone + 0.5


def test_rows_of_a_host_that_never_answers_end() -> None:
    drained = drain([], silent=1000)
    assert drained.outcomes() == {Code.CONNECTION_TIMEOUT: 1000}
    assert drained.seconds <= 600
    spared = [row for row in drained.rows if row.result is not None and row.result.rule == "pace:shut"]
    assert len(spared) > 900
    assert all(row.result is not None and row.result.remedy for row in drained.rows)


def test_host_that_bans_for_good_is_told_and_its_rows_are_spared() -> None:
    server = Policed(ban_after=10, ban=Ban.HUNG_UP, ban_seconds=1e6)

    async def run() -> Drain:
        async with policing(server):
            rows = [mailbox(n, server.port, password=RIGHT if n % 20 else "wrong") for n in range(1, 501)]
            drained = Drain(rows)
            await drained.run()
            return drained

    drained = run_without_waiting(run())
    outcomes = drained.outcomes()
    assert set(outcomes) == {Code.OK, Code.INVALID_CREDENTIALS, Code.IP_BLOCKED}
    assert outcomes[Code.INVALID_CREDENTIALS] == 10
    blocked = [row.result for row in drained.rows if row.code == Code.IP_BLOCKED]
    assert all(result is not None and "after several failed logins" in result.remedy for result in blocked)
    assert all(row.claimed.smtp_login_count <= 3 for row in drained.rows)
    # Some two dozen probes, and at most one round that had set out before the first was turned away.
    assert server.said["banned"] <= 60
    assert drained.seconds <= BUDGET.total_seconds() * 2 + LONGEST_PROBE


def test_many_names_of_one_machine_are_paced_as_one() -> None:
    server = Policed(most_connections=10)

    async def run() -> Drain:
        async with policing(server):
            rows = [mailbox(n, server.port, pace_key=f"customer{n % 100}.example") for n in range(1, 501)]
            drained = Drain(rows)
            await drained.run()
            return drained

    drained = run_without_waiting(run())
    assert drained.failures_of_good() == []
    assert drained.seconds <= 1.3 * 500 * server.login_seconds / 10
    assert server.said["too many"] <= 20


def test_wrong_port_of_some_does_not_slow_the_others() -> None:
    alone = seconds_of_good(drain([(100, Policed())]))
    server = Policed()

    async def run() -> Drain:
        async with policing(server), serve([Do.HANG], host=HOST) as mute:
            ports = [server.port, mute.port] * 100
            drained = Drain([mailbox(n, port) for n, port in enumerate(ports, 1)], auto_correct=False)
            await drained.run()
            return drained

    beside = run_without_waiting(run())
    assert beside.outcomes() == {Code.OK: 100, Code.CONNECTION_TIMEOUT: 100}
    assert seconds_of_good(beside) <= 20 + 1.2 * alone


def test_crowd_of_names_of_one_machine_does_not_hold_up_who_comes_behind_them() -> None:
    """Each of 1,000 domains has a name of its own for one small server; in the file, another host's rows come last."""
    alone = seconds_of_good(drain([(100, Policed())], slots=100))
    crowded, free = Policed(most_connections=10), Policed(host="127.0.0.4")

    async def run() -> Drain:
        async with policing(crowded), policing(free):
            rows = [mailbox(n, crowded.port, pace_key=f"customer{n}.example") for n in range(1, 1001)]
            rows += [mailbox(n, free.port, host="127.0.0.4") for n in range(1001, 1101)]
            drained = Drain(rows, slots=100)
            await drained.run()
            return drained

    drained = run_without_waiting(run())
    assert drained.failures_of_good() == []
    assert drained.seconds <= 1.3 * 1000 * crowded.login_seconds / 10
    behind = max(row.ended_after for row in drained.rows[1000:])
    assert behind <= 1.2 * alone + 3
    put_off = sum(row.claimed.put_off_count for row in drained.rows)
    assert put_off <= 3 * len(drained.rows)
