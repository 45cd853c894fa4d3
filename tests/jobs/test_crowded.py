"""A host is sent no more rows than it has room for, and one that waits there, however long they are on their way."""

import asyncio

from app.gate import START_LIMIT
from app.model import Counts, Encryption, Side
from jobs.drain_request import drain_request
from jobs.rooms import SPARE
from tests.fakes.counting import Counting
from tests.fakes.names import SILENT, serve_names
from tests.jobs.hands import Hands, Hire, boxes, wait_until
from tests.store.ledger import Space, make_row

PLACES = 5
SLOW = "slow.example"


async def test_a_host_that_nobody_has_knocked_at_is_sent_what_the_operator_allows(
    space: Space, servers: Counting, hands: Hire
) -> None:
    request_id = await space.add(boxes(servers, 20, ("held",)))
    one: Hands = await hands(provider_limits={"127.0.0.1": PLACES})
    drained = asyncio.create_task(one.drain(request_id))
    await wait_until(lambda: len(servers.asked) == PLACES)
    await asyncio.sleep(0.5)  # several claims
    assert len(one.worker.checks) == PLACES + SPARE
    servers.let_go.set()
    await drained
    assert (await space.read(request_id)).counts == Counts(total=20, connected=20)
    assert set(servers.asked.values()) == {2}


async def test_rows_whose_host_is_looked_up_for_long_have_taken_their_room(
    space: Space, servers: Counting, hands: Hire
) -> None:
    async with serve_names({f"{SLOW} A": SILENT, f"{SLOW} AAAA": SILENT}) as names:
        one: Hands = await hands(dns_servers=(names.address,), check_concurrency=40)
        smtp, imap = (
            Side(True, "", "", SLOW, port, Encryption.NONE) for port in (servers.smtp_port, servers.imap_port)
        )
        rows = [make_row(number, pace_key=SLOW, smtp=smtp, imap=imap) for number in range(1, 41)]
        request_id = await space.add(rows)
        drained = asyncio.create_task(drain_request(one.worker, request_id))
        await wait_until(lambda: bool(names.asked))
        await asyncio.sleep(0.5)  # several claims
        assert len(one.worker.checks) == START_LIMIT + SPARE
        one.worker.stopping.set()
        for task in list(one.worker.checks):
            task.cancel()
        await drained
        await one.finish()
    assert one.worker.rooms.share(request_id, space.id, {}, 10) == {}
