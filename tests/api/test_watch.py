"""Waiting for news of requests, and what a process remembers of their summaries."""

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

from app.api.summaries import MOST_KEPT, Summaries
from app.api.watch import Watch
from app.model import Counts
from app.store.requests import get_request
from tests.api.asking import Service, row


async def test_who_comes_after_the_end_does_not_wait(service: Service) -> None:
    watch = Watch(service.api.db)
    waiting = [asyncio.create_task(watch.changed(uuid4(), 1, "queued", 60)) for _ in range(3)]
    await asyncio.sleep(0)
    watch.close()
    watch.close()
    async with asyncio.timeout(1):
        await asyncio.gather(*waiting)
        await watch.changed(uuid4(), 1, "queued", 60)


async def test_nobody_is_forgotten_where_many_wait_for_one(service: Service) -> None:
    request_id = await service.connected(row())
    request = await get_request(service.api.db, service.workspace_id, UUID(request_id))
    watch = Watch(service.api.db)
    running = asyncio.create_task(watch.run())
    short = asyncio.create_task(watch.changed(request.id, request.version, request.state, 0.1))
    long = [asyncio.create_task(watch.changed(request.id, request.version, request.state, 60)) for _ in range(20)]
    await short
    assert not any(task.done() for task in long)
    await service.api.db.execute("UPDATE requests SET state = 'processing' WHERE id = $1", request.id)
    async with asyncio.timeout(5):
        await asyncio.gather(*long)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_only_so_many_summaries_are_remembered(service: Service) -> None:
    request = await get_request(service.api.db, service.workspace_id, UUID(await service.connected(row())))
    failed = replace(request, counts=Counts(total=2, pending=1, failed=1))
    summaries = Summaries()
    for _ in range(MOST_KEPT + 5):
        assert await summaries.get(service.api.db, replace(failed, id=uuid4())) == []
    assert len(summaries._kept) == MOST_KEPT


async def test_a_summary_is_not_worked_out_at_every_poll(service: Service) -> None:
    request = await get_request(service.api.db, service.workspace_id, UUID(await service.connected(row())))
    running = replace(request, counts=Counts(total=2, pending=1, failed=1))
    summaries = Summaries()
    first = await summaries.get(service.api.db, running)
    assert await summaries.get(service.api.db, replace(running, version=running.version + 1)) is first
    ended = replace(running, version=running.version + 2, counts=Counts(total=2, failed=2))
    last = await summaries.get(service.api.db, ended)
    assert last is not first
    assert await summaries.get(service.api.db, replace(ended, version=ended.version + 1)) is last  # its report is there
