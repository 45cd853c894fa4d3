"""The sweep: what the dead, lost bells and absent servers left undone is found; what the living do is left alone."""

import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from app.enqueue import Queue, open_queue, ring_drain, ring_report
from app.model import Counts
from app.store.db import new_id
from app.store.requests import cancel_request
from app.store.workers import beat, start_drain
from jobs.clock import beat_heart
from jobs.drain_request import drain_request
from jobs.sweep import find_lost_reports, find_work, purge, sweep
from jobs.write_report import write_report
from tests.fakes.counting import Counting
from tests.jobs.hands import Hands, Hire, box, boxes
from tests.store.ledger import Space, ended, make_rows, waiting


async def silent_worker(space: Space, seconds: float = 11) -> UUID:
    """Return a worker whose heart stopped that long ago."""
    worker_id = new_id()
    await beat(space.db, worker_id, "there", 1, 10)
    silence = timedelta(seconds=seconds)
    await space.db.execute("UPDATE workers SET beat_at = now() - $2::interval WHERE id = $1", worker_id, silence)
    return worker_id


def make_steady(one: Hands) -> None:
    """Let a worker's heart have beaten all along."""
    now = time.monotonic()
    one.worker.beats_since, one.worker.beat_at = now - 60, now


async def test_rows_of_a_dead_worker_are_freed_and_done_by_another(
    space: Space, servers: Counting, hands: Hire
) -> None:
    request_id = await space.add(boxes(servers, 4))
    dead = await silent_worker(space)
    await start_drain(space.db, request_id, dead)
    await space.claim(request_id, dead)
    one: Hands = await hands()
    make_steady(one)
    assert await find_work(one.worker) == ([], [])
    await sweep(one.worker)
    assert await find_work(one.worker) == ([request_id], [])
    await one.drain(request_id)
    assert (await space.read(request_id)).counts == Counts(total=4, connected=4)


async def test_rows_of_a_living_worker_are_left_alone(space: Space, servers: Counting, hands: Hire) -> None:
    request_id = await space.add([box(servers, 1, "held")])
    one, two = await hands(), await hands()
    await drain_request(one.worker, request_id)
    make_steady(two)
    await sweep(two.worker)
    make_steady(one)
    await space.db.execute("UPDATE request_rows SET claimed_at = now() - interval '1 hour'")
    await sweep(one.worker)
    assert (await space.row(request_id))["worker_id"] == one.worker.id
    servers.let_go.set()
    await one.finish()
    assert servers.asked["held-1@example.com"] == 2


async def test_nobody_is_buried_by_one_that_was_away_itself(space: Space, hands: Hire) -> None:
    """When PostgreSQL comes back every worker looks dead: the first to beat must not bury the others."""
    request_id = await space.add(make_rows(1))
    away = await silent_worker(space)
    await space.claim(request_id, away)
    one: Hands = await hands()
    await sweep(one.worker)  # it has not even beaten yet
    one.worker.note_beat(time.monotonic())
    await sweep(one.worker)
    assert (await space.row(request_id))["state"] == "checking"


async def test_a_gap_in_the_beats_begins_the_count_anew(space: Space, hands: Hire) -> None:
    one: Hands = await hands(worker_timeout_seconds=10.0)
    for now in (100.0, 102.0, 104.0, 106.0, 108.0, 110.0):
        one.worker.note_beat(now)
    assert not one.worker.may_bury(109.9)
    assert one.worker.may_bury(110.0)
    assert not one.worker.may_bury(115.1)  # its own heart is silent
    for now in (116.0, 120.0, 124.0):
        one.worker.note_beat(now)
    assert not one.worker.may_bury(125.9)
    assert one.worker.may_bury(126.0)


async def test_nobody_is_buried_before_the_first_beat_after_an_outage(space: Space, hands: Hire) -> None:
    """PostgreSQL is back and the sweep comes before the heart: all look dead in it, the sweeping worker too."""
    request_id = await space.add(make_rows(1))
    away = await silent_worker(space)
    await space.claim(request_id, away)
    one: Hands = await hands()
    make_steady(one)
    await space.db.execute("UPDATE workers SET beat_at = now() - interval '30 seconds'")
    await sweep(one.worker)
    assert (await space.row(request_id))["state"] == "checking"
    assert await space.db.fetchval("SELECT count(*) FROM workers") == 2
    await beat_heart(one.worker)
    await sweep(one.worker)
    assert (await space.row(request_id))["state"] == "queued"


async def test_rows_whose_claim_was_never_answered_go_back(space: Space, servers: Counting, hands: Hire) -> None:
    request_id = await space.add([box(servers, 1), box(servers, 2, "held")])
    one: Hands = await hands()
    await space.claim(request_id, one.worker.id, 1)  # PostgreSQL did it, and the answer was lost
    await drain_request(one.worker, request_id)
    await sweep(one.worker)
    assert (await space.row(request_id))["state"] == "checking"
    await space.db.execute("UPDATE request_rows SET claimed_at = now() - interval '16 seconds'")
    with one.worker.claiming():
        one.worker.claims.update(dict.fromkeys(one.worker.claims, time.monotonic() - 20))
        await sweep(one.worker)
        assert (await space.row(request_id))["state"] == "checking"  # that claim may bring it yet
    await sweep(one.worker)
    assert (await space.row(request_id))["state"] == "queued"
    assert (await space.row(request_id, 2))["state"] == "checking"
    servers.let_go.set()
    await one.finish()
    await one.drain(request_id)
    assert (await space.read(request_id)).counts == Counts(total=2, connected=2)


async def test_a_drain_that_ended_while_postgresql_was_away_is_begun_again(space: Space, hands: Hire) -> None:
    request_id = await space.add(make_rows(1))
    one: Hands = await hands()
    await start_drain(space.db, request_id, one.worker.id)
    assert await find_work(one.worker) == ([], [])
    await sweep(one.worker)
    assert await find_work(one.worker) == ([request_id], [])


async def test_rows_that_are_due_are_claimed_again(space: Space, hands: Hire) -> None:
    request_id = await space.add(make_rows(1))
    one: Hands = await hands()
    await space.end(one.worker.id, *[waiting(row, -1) for row in await space.claim(request_id, one.worker.id)])
    await sweep(one.worker)
    assert (await space.row(request_id))["state"] == "queued"


async def test_a_report_that_nobody_was_told_of_is_written_after_a_while(space: Space, hands: Hire) -> None:
    request_id = await space.add(make_rows(2))
    one: Hands = await hands()
    await space.end(one.worker.id, *map(ended, await space.claim(request_id, one.worker.id)))
    assert await find_work(one.worker) == ([], [])  # the bell has rung; let it be heard first
    await space.db.execute("UPDATE requests SET closed_at = now() - interval '11 seconds'")
    assert await find_work(one.worker) == ([], [request_id])
    assert await write_report(space.db, one.worker.reports, request_id)
    assert await find_work(one.worker) == ([], [])


async def test_cancelled_rows_that_come_back_later_end_the_request(space: Space, hands: Hire) -> None:
    request_id = await space.add(make_rows(1))
    dead = await silent_worker(space)
    await space.claim(request_id, dead)
    await cancel_request(space.db, space.id, request_id)
    one: Hands = await hands()
    make_steady(one)
    await sweep(one.worker)
    await sweep(one.worker)
    assert (await space.read(request_id)).counts == Counts(total=1, cancelled=1)
    assert (await space.read(request_id)).state == "reporting"


async def test_bells_are_lost_without_a_fuss_while_redis_is_away(space: Space) -> None:
    queue: Queue = open_queue("unix:///nowhere/valkey.sock")
    assert not await ring_drain(queue, space.id)
    assert not await ring_report(queue, space.id)
    await queue.aclose()


async def test_what_has_expired_is_deleted_with_its_report(space: Space, hands: Hire) -> None:
    kept, expired = await space.add(make_rows(1)), await space.add(make_rows(1))
    one: Hands = await hands()
    await space.end(one.worker.id, *map(ended, await space.claim(expired, one.worker.id)))
    await write_report(space.db, one.worker.reports, expired)
    path = (await space.read(expired)).report_path
    assert path is not None
    await space.db.execute("UPDATE requests SET expires_at = now() - interval '1 minute' WHERE id = $1", expired)
    await purge(one.worker)
    assert await one.worker.reports.is_gone(path)
    assert [record["id"] for record in await space.db.fetch("SELECT id FROM requests")] == [kept]


async def test_a_request_whose_report_cannot_be_deleted_stays_until_it_can(
    space: Space, hands: Hire, tmp_path: Any
) -> None:
    request_id = await space.add(make_rows(1))
    one: Hands = await hands()
    await space.end(one.worker.id, *map(ended, await space.claim(request_id, one.worker.id)))
    await write_report(space.db, one.worker.reports, request_id)
    path = tmp_path / "reports" / str((await space.read(request_id)).report_path)
    text = path.read_text()
    path.unlink()
    path.mkdir()  # what is a folder cannot be deleted as a file
    (path / "inside").touch()
    await space.db.execute("UPDATE requests SET expires_at = now() - interval '1 minute'")
    await purge(one.worker)
    assert (await space.read(request_id)).id == request_id
    (path / "inside").unlink()
    path.rmdir()
    path.write_text(text)
    await purge(one.worker)
    assert await space.db.fetchval("SELECT count(*) FROM requests") == 0


async def test_a_report_that_is_gone_from_its_folder_is_written_again_though_nobody_asks(
    space: Space, hands: Hire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.sweep.REPORTS_LOOKED_FOR", 2)
    one: Hands = await hands()
    made = [await space.add(make_rows(1)) for _ in range(5)]
    for request_id in made:
        await space.end(one.worker.id, *map(ended, await space.claim(request_id, one.worker.id)))
        await write_report(space.db, one.worker.reports, request_id)
    path = tmp_path / "reports" / str((await space.read(made[3])).report_path)
    text = path.read_bytes()
    path.unlink()
    for _ in range(3):
        await find_lost_reports(one.worker)
    assert [(await space.read(request_id)).state for request_id in made] == [*["done"] * 3, "reporting", "done"]
    await space.db.execute("UPDATE requests SET closed_at = closed_at - interval '11 seconds'")
    assert (await find_work(one.worker))[1] == [made[3]]
    await space.db.execute("UPDATE requests SET closed_at = closed_at + interval '11 seconds'")
    await write_report(space.db, one.worker.reports, made[3])
    assert path.read_bytes() == text


async def lose_report(space: Space, one: Hands, folder: Path) -> UUID:
    """Have a report written, and delete its file."""
    request_id = await space.add(make_rows(1))
    await space.end(one.worker.id, *map(ended, await space.claim(request_id, one.worker.id)))
    await write_report(space.db, one.worker.reports, request_id)
    (folder / "reports" / str((await space.read(request_id)).report_path)).unlink()
    return request_id


async def test_a_report_that_is_deleted_since_it_has_expired_is_not_missed(
    space: Space, hands: Hire, tmp_path: Path
) -> None:
    one: Hands = await hands()
    request_id = await lose_report(space, one, tmp_path)
    await space.db.execute("UPDATE requests SET expires_at = now()")
    await find_lost_reports(one.worker)
    assert (await space.read(request_id)).state == "done"


async def test_reports_in_a_folder_are_not_missed_where_another_machine_may_have_them(
    space: Space, hands: Hire, tmp_path: Path
) -> None:
    one: Hands = await hands()
    request_id = await lose_report(space, one, tmp_path)
    await beat(space.db, new_id(), "another machine", 1, 10)
    await find_lost_reports(one.worker)
    assert (await space.read(request_id)).state == "done"


async def test_secrets_of_requests_that_ended_long_ago_are_destroyed(space: Space, hands: Hire) -> None:
    old, young = await space.add(make_rows(1)), await space.add(make_rows(1))
    one: Hands = await hands()
    for request_id in (old, young):
        refused = [ended(row, "invalid_credentials") for row in await space.claim(request_id, one.worker.id)]
        await space.end(one.worker.id, *refused)
    await space.db.execute("UPDATE requests SET closed_at = now() - interval '25 hours' WHERE id = $1", old)
    await purge(one.worker)
    assert (await space.read(old)).data_key is None
    assert (await space.read(young)).data_key is not None
