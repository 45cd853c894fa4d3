"""A worker before a server that turns away whom it cannot bear: rows wait for turns, none is called bad."""

import asyncio
import time
from collections import Counter
from typing import Any

from app.model import Encryption, Row, Secret, Secrets, Side
from app.store.rows import list_row_results
from app.store.workers import make_due
from tests.fakes.policed import HOST, RIGHT, Policed, policing
from tests.jobs.hands import Hands, Hire
from tests.store.ledger import Space, make_row

COUNT = 120


def box(server: Policed, number: int, pace_key: str = HOST) -> Row:
    email = f"info{number}@example.com"
    smtp = Side(True, email, email, HOST, server.port, Encryption.NONE)
    secrets = Secrets(Secret(RIGHT), None)
    return make_row(number, email=email, pace_key=pace_key, smtp=smtp, imap=Side(wanted=False), secrets=secrets)


async def drain_to_the_end(hands: Hands, space: Space, rows: list[Row], seconds: float = 60) -> Counter[str]:
    """Drain a request as a worker with a clock does. Returns its codes."""
    request_id = await space.add(rows)
    ends_at = time.monotonic() + seconds
    while not hands.closed:
        assert time.monotonic() < ends_at
        await make_due(space.db)
        await hands.drain(request_id)
        await asyncio.sleep(0.1)
    found = await list_row_results(space.db, request_id, limit=1000)
    assert all(row.smtp is not None and row.smtp.attempts >= 1 for row in found)
    return Counter(row.smtp.code for row in found if row.smtp is not None)


async def test_server_of_ten_connections_connects_them_all(hands: Hire, space: Space) -> None:
    async with policing(Policed(most_connections=10, login_seconds=0.05)) as server:
        worker = await hands(check_concurrency=60, allow_ports=frozenset({server.port}))
        rows = [box(server, number) for number in range(1, COUNT + 1)]
        assert await drain_to_the_end(worker, space, rows) == {"ok": COUNT}
    assert server.said["too many"] <= 12
    assert max(server.logins_of.values()) == 1


async def test_names_of_one_machine_find_turns_though_their_keys_differ(hands: Hire, space: Space) -> None:
    """Claims go by the row's key; who finds no turn at the machine itself is put off, and that is no try."""
    async with policing(Policed(most_connections=5, login_seconds=0.3)) as server:
        worker: Any = await hands(check_concurrency=60, allow_ports=frozenset({server.port}))
        rows = [box(server, number, f"customer{number}.example") for number in range(1, 61)]
        assert await drain_to_the_end(worker, space, rows) == {"ok": 60}
        put_off = await space.db.fetchval("SELECT sum(put_off_count) FROM request_rows")
        assert put_off > 0
        tried = await space.db.fetchval("SELECT max(attempt - put_off_count) FROM request_rows")
    assert tried <= 3
    assert max(server.logins_of.values()) == 1
