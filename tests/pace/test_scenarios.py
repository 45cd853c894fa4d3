"""Many mailboxes on servers that defend themselves: no good one is called bad, and none waits needlessly."""

from collections.abc import Sequence

import pytest

from app.codes import Code
from tests.fakes.clock import run_without_waiting
from tests.fakes.policed import RIGHT, Ban, Policed, policing
from tests.pace.driver import Drain, mailbox

MAILBOXES = 500


def drain(server: Policed, passwords: Sequence[str], *, with_imap: bool = False) -> Drain:
    async def run() -> Drain:
        async with policing(server):
            imap_port = server.imap_port if with_imap else 0
            rows = [mailbox(n, server.port, imap_port, password=password) for n, password in enumerate(passwords, 1)]
            drained = Drain(rows)
            await drained.run()
            return drained

    return run_without_waiting(run())


def test_server_that_takes_ten_connections() -> None:
    server = Policed(most_connections=10)
    drained = drain(server, [RIGHT] * MAILBOXES)
    assert drained.failures_of_good() == []
    assert max(server.logins_of.values()) == 1
    least_seconds = MAILBOXES * server.login_seconds / 10

    assert drained.seconds <= 1.3 * least_seconds


@pytest.mark.parametrize("is_told_at_login", [True, False])
def test_server_that_takes_twenty_logins_a_minute(is_told_at_login: bool) -> None:
    server = Policed(logins_per_minute=20, is_rate_told_at_login=is_told_at_login)
    drained = drain(server, [RIGHT] * MAILBOXES)

    assert drained.failures_of_good() == []
    least_seconds = (MAILBOXES / 20 - 1) * 60
    assert drained.seconds <= 1.3 * least_seconds
    assert max(server.logins_of.values()) <= 3
    assert sum(row.claimed.put_off_count for row in drained.rows) <= 0.1 * MAILBOXES


@pytest.mark.parametrize("ban", Ban)
def test_server_that_bans_after_ten_failed_logins(ban: Ban) -> None:
    server = Policed(ban_after=10, ban=ban)
    passwords = ["wrong" if number % 20 == 7 else RIGHT for number in range(MAILBOXES)]
    drained = drain(server, passwords)

    assert drained.failures_of_good() == []
    assert drained.outcomes() == {Code.OK: 475, Code.INVALID_CREDENTIALS: 25}
    assert server.said["no"] == 25  # nobody is told so twice; who got no answer when the ban began may ask again
    least_seconds = 2 * server.ban_seconds
    assert drained.seconds <= 1.3 * least_seconds
    assert server.bans == 1


@pytest.mark.parametrize("ban", [Ban.REFUSED, Ban.HUNG_UP])
def test_both_protocols_count_for_one_ban(ban: Ban) -> None:
    """Five failed logins, as fail2ban has it, whichever protocol they were of; each wrong password is two of them."""
    server = Policed(ban_after=5, ban=ban)
    passwords = ["wrong" if number % 50 == 7 else RIGHT for number in range(MAILBOXES)]
    drained = drain(server, passwords, with_imap=True)
    assert drained.failures_of_good() == []
    wrong = [row for row in drained.rows if row.password != RIGHT]
    assert {result.code for row in wrong for result in row.results.values()} == {Code.INVALID_CREDENTIALS}
    assert max(server.logins_of.values()) <= 3
    failed_logins = 2 * len(wrong)
    assert server.said["no"] == failed_logins
    # Four in ten minutes are borne; some are held back for what is in flight.
    assert drained.seconds <= 2 * failed_logins / 4 * server.ban_seconds


@pytest.mark.parametrize(("every", "most_seconds"), [(10, 10), (1, 300)])
def test_wrong_passwords_do_not_stop_a_small_host(every: int, most_seconds: float) -> None:
    """Every tenth is wrong, which changes little; or all of them are, which slows it."""
    quick = drain(Policed(login_seconds=0.1), [RIGHT] * 200).seconds
    passwords = [RIGHT if number % every else "wrong" for number in range(200)]
    drained = drain(Policed(login_seconds=0.1), passwords)
    assert drained.failures_of_good() == []
    assert 0.5 * quick < drained.seconds <= most_seconds
    assert every > 1 or drained.seconds > 5 * quick
