"""Reports are written once all rows have ended, whole or not at all, and again when the disk has room."""

import asyncio
import csv
import hashlib
import io
import os
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.reports import ReportStore, open_report_store
from app.settings import Settings
from app.store.db import Unavailable, new_id, open_pool
from app.store.lines import iterate_report_lines
from app.store.requests import purge_request, reopen_report
from app.store.workers import list_reports_to_write
from jobs import write_report as writing
from jobs.write_report import write_report
from tests.store.ledger import Space, ended, make_rows


@pytest.fixture
def store(tmp_path: Path) -> ReportStore:
    return open_report_store(Settings(data_dir=tmp_path), b"key")


async def end_request(space: Space, count: int) -> UUID:
    """Return a request of which every row has ended, the first of them badly."""
    request_id, worker = await space.add(make_rows(count)), new_id()
    claimed = await space.claim(request_id, worker, count)
    await space.end(worker, ended(claimed[0], "invalid_credentials"), *map(ended, claimed[1:]))
    return request_id


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_what_a_report_reads_is_known_to_postgresql_before(space: Space, store: ReportStore) -> None:
    request_id = await end_request(space, 500)
    await space.db.execute("UPDATE pg_class SET relpages = 0, reltuples = -1 WHERE oid = 'checks'::regclass")
    assert await write_report(space.db, store, request_id)
    assert await space.db.fetchval("SELECT relpages FROM pg_class WHERE oid = 'checks'::regclass") > 20


async def test_the_report_holds_every_row_and_is_what_the_request_says_of_it(
    space: Space, store: ReportStore, tmp_path: Path
) -> None:
    request_id = await end_request(space, 5)
    assert await write_report(space.db, store, request_id)
    request = await space.read(request_id)
    assert request.state == "done"
    assert request.finished_at is not None
    data = (tmp_path / "reports" / str(request.report_path)).read_bytes()
    assert request.report_path is not None
    assert request.report_path.startswith(f"{space.id}/Email-Account_Bulk_Report_{request_id}_")
    assert hashlib.sha256(data).digest() == await space.db.fetchval(
        "SELECT report_sha256 FROM requests WHERE id = $1", request_id
    )
    lines = list(csv.DictReader(io.StringIO(data.decode())))
    assert [(line["row"], line["outcome"]) for line in lines] == [
        ("1", "failed"),
        *[(str(number), "connected") for number in range(2, 6)],
    ]
    assert {line["Team"] for line in lines} == {"North"}


async def test_written_twice_at_once_it_is_the_same_file(space: Space, store: ReportStore, tmp_path: Path) -> None:
    request_id = await end_request(space, 50)
    done = await asyncio.gather(*(write_report(space.db, store, request_id) for _ in range(4)))
    assert all(done)
    (path,) = files(tmp_path / "reports")
    found = await space.db.fetchval("SELECT report_sha256 FROM requests WHERE id = $1", request_id)
    assert hashlib.sha256(path.read_bytes()).digest() == found
    assert await write_report(space.db, store, request_id)


async def test_what_is_not_ended_or_not_there_has_no_report(space: Space, store: ReportStore, tmp_path: Path) -> None:
    request_id = await space.add(make_rows(2))
    assert not await write_report(space.db, store, request_id)
    assert not await write_report(space.db, store, uuid4())
    assert files(tmp_path) == []


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "tiny"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_full_disk_leaves_nothing_behind_and_the_report_comes_when_there_is_room(
    space: Space, tiny_disk: Path
) -> None:
    filler = tiny_disk / "filler"
    filler.write_bytes(b"x" * 500_000)
    store = open_report_store(Settings(report_store=f"file://{tiny_disk}/reports"), b"key")
    request_id = await end_request(space, 300)
    assert not await write_report(space.db, store, request_id)
    assert files(tiny_disk) == [filler]
    told = await space.read(request_id)
    assert told.state == "reporting"
    assert told.report_failed_at is not None
    assert not await write_report(space.db, store, request_id)
    again = await space.read(request_id)
    assert (again.version, again.report_failed_at) == (told.version, told.report_failed_at)  # it is told once
    await space.db.execute("UPDATE requests SET closed_at = now() - interval '1 minute' WHERE id = $1", request_id)
    assert request_id in await list_reports_to_write(space.db, timedelta(seconds=10))
    filler.unlink()
    assert await write_report(space.db, store, request_id)
    assert len(files(tiny_disk)) == 1
    assert (await space.read(request_id)).report_failed_at is None


async def test_a_folder_that_cannot_be_written_leaves_the_request_as_it_is(
    space: Space, store: ReportStore, tmp_path: Path
) -> None:
    request_id = await end_request(space, 3)
    blocked = tmp_path / "reports" / str(space.id)
    blocked.write_text("a file where the workspace's folder should be")
    assert not await write_report(space.db, store, request_id)
    assert (await space.read(request_id)).state == "reporting"
    blocked.unlink()
    assert await write_report(space.db, store, request_id)


async def test_a_postgresql_that_goes_away_in_the_middle_leaves_no_half_report(
    space: Space, store: ReportStore, tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = await end_request(space, 10)
    own = await open_pool(database_url)
    rows = iterate_report_lines

    async def iterate_and_fail(*words: Any, **named: Any) -> Any:
        async for block in rows(*words, **named):
            yield block
            raise Unavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(writing, "iterate_report_lines", iterate_and_fail)
        with pytest.raises(Unavailable):
            await write_report(own, store, request_id)
    assert files(tmp_path) == []
    own.terminate()
    assert await write_report(space.db, store, request_id)


async def test_nothing_is_left_of_a_request_that_was_deleted_while_its_report_was_written(
    space: Space, store: ReportStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = await end_request(space, 10)
    rows = iterate_report_lines

    async def iterate_and_delete(*words: Any, **named: Any) -> Any:
        async for block in rows(*words, **named):
            yield block
            await purge_request(space.db, request_id)

    monkeypatch.setattr(writing, "iterate_report_lines", iterate_and_delete)
    assert not await write_report(space.db, store, request_id)
    assert files(tmp_path) == []


async def test_a_report_written_again_after_its_file_was_lost_is_the_same(
    space: Space, store: ReportStore, tmp_path: Path
) -> None:
    request_id = await end_request(space, 20)
    await write_report(space.db, store, request_id)
    before = await space.read(request_id)
    (path,) = files(tmp_path)
    first = path.read_bytes()
    path.unlink()
    await reopen_report(space.db, request_id)
    assert await write_report(space.db, store, request_id)
    assert path.read_bytes() == first
    assert (await space.read(request_id)).report_path == before.report_path
