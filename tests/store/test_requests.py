"""Requests: stored whole or not at all, listed newest first, watched, reported, purged."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest

from app.model import Counts, OnExisting, Options, RequestStatus, Row, RowError, Save, Secrets
from app.store.db import Conflict, NotFound, StoreError, new_id, transaction
from app.store.incoming import BLOCK_ROWS, insert_request
from app.store.lines import BLOCK_LINES, READ_LINES, iterate_report_lines
from app.store.requests import (
    count_requests,
    count_rows_with_code,
    get_request,
    list_expired_requests,
    list_requests,
    list_versions,
    mark_report_written,
    purge_request,
    purge_secrets,
    reopen_report,
    sum_queued_rows,
)
from app.store.rows import list_error_groups, list_row_results
from tests.store.ledger import Space, ended, make_row, make_rows, waiting

WRONG = (RowError(2, "smtpPort", "range", "smtpPort must be from 1 to 65535."),)


async def close(space: Space, count: int = 1, code: str = "ok", options: Options | None = None) -> object:
    request_id = await space.add(make_rows(count), options)
    worker = uuid4()
    await space.end(worker, *[ended(row, code) for row in await space.claim(request_id, worker)])
    return request_id


async def test_counts_begin_with_what_is_known_of_the_rows(space: Space) -> None:
    rows = [make_row(1), make_row(2, errors=WRONG), make_row(3, email="user1@example.com", duplicate_of=1)]
    request_id = await space.add(rows)
    request = await space.read(request_id)
    assert request.counts == Counts(total=3, pending=1, invalid=1, duplicate=1)
    assert (request.state, request.columns, request.status) == ("queued", ("Team",), RequestStatus.QUEUED)
    kept = [await space.row(request_id, number) for number in (1, 2, 3)]
    assert [row["outcome"] for row in kept] == [None, "invalid", "duplicate"]
    assert [row["sealed"] is not None for row in kept] == [True, False, False]
    assert [row["smtp_open"] for row in kept] == [True, False, False]
    (invalid,) = await list_row_results(space.db, request_id, outcome="invalid")
    assert invalid.errors == ({"field": "smtpPort", "code": "range", "message": WRONG[0].message},)


async def test_a_request_without_a_good_row_waits_for_its_report_at_once(space: Space) -> None:
    request = await space.read(await space.add([make_row(1, errors=WRONG)]))
    assert (request.state, request.data_key) == ("reporting", None)
    assert request.closed_at is not None


async def test_a_row_without_credentials_keeps_nothing_sealed(space: Space) -> None:
    request_id = await space.add([make_row(1, secrets=Secrets())])
    assert (await space.row(request_id))["sealed"] is None


async def test_no_secret_is_stored_in_the_open(space: Space) -> None:
    request_id = await space.add([make_row(1)])
    everything = await space.db.fetchval(
        "SELECT r::text || q::text FROM request_rows r JOIN requests q ON q.id = r.request_id WHERE q.id = $1",
        request_id,
    )
    assert "password 1" not in everything
    assert b"password 1".hex() not in everything


async def test_a_request_is_stored_whole_or_not_at_all(space: Space) -> None:
    twice = [*make_rows(700), make_row(700)]
    with pytest.raises(Conflict):
        await space.add(twice)
    with pytest.raises(StoreError):
        await space.add([*make_rows(700), make_row(701, external_id="a\0b")])
    assert await count_requests(space.db, space.id) == 0


async def test_nothing_stays_of_a_request_whose_rows_stop_coming(space: Space) -> None:
    def slices() -> Iterator[list[Row]]:
        yield make_rows(BLOCK_ROWS)
        raise LookupError

    with pytest.raises(LookupError):
        async with transaction(space.db) as link:
            await insert_request(
                link, new_id(), space.id, Options(), slices(), [], count=1000, data_key=bytes(32),
                wrapped_key=b"wrapped", retention=timedelta(days=1),
            )  # fmt: skip
    assert await count_requests(space.db, space.id) == 0


async def test_where_rows_are_many_and_some_accounts_already_each_is_told_from_the_others(space: Space) -> None:
    await space.keep("user1@example.com")
    await space.keep(f"user{2 * BLOCK_ROWS + 2}@example.com")
    request_id = await space.add(make_rows(2 * BLOCK_ROWS + 2), Options(on_existing=OnExisting.SKIP))
    assert (await space.read(request_id)).counts == Counts(2 * BLOCK_ROWS + 2, pending=2 * BLOCK_ROWS, skipped=2)
    skipped = await list_row_results(space.db, request_id, outcome="skipped")
    assert [row.row for row in skipped] == [1, 2 * BLOCK_ROWS + 2]


async def test_many_rows_are_stored_in_slices(space: Space) -> None:
    request_id = await space.add(make_rows(READ_LINES + 1))
    blocks = [block async for block in iterate_report_lines(space.db, request_id)]
    assert [len(block) for block in blocks] == [BLOCK_LINES] * (READ_LINES // BLOCK_LINES) + [1]
    assert [row.row for block in blocks for row in block] == list(range(1, READ_LINES + 2))


async def test_an_exact_block_ends_the_walk(space: Space) -> None:
    request_id = await space.add(make_rows(READ_LINES))
    blocks = [len(block) async for block in iterate_report_lines(space.db, request_id)]
    assert blocks == [BLOCK_LINES] * (READ_LINES // BLOCK_LINES)


async def test_requests_of_a_workspace_that_is_gone_are_refused(space: Space) -> None:
    await space.db.execute("DELETE FROM workspaces WHERE id = $1", space.id)
    with pytest.raises(NotFound):
        await space.add([make_row(1)])


@pytest.mark.parametrize(
    ("on_existing", "outcome", "counts"),
    [
        (OnExisting.UPDATE, None, Counts(total=2, pending=2)),
        (OnExisting.SKIP, "skipped", Counts(total=2, pending=1, skipped=1)),
        (OnExisting.FAIL, "invalid", Counts(total=2, pending=1, invalid=1)),
    ],
)
async def test_an_address_that_is_an_account_already(
    space: Space, on_existing: OnExisting, outcome: str | None, counts: Counts
) -> None:
    account_id = await space.keep("user1@example.com")
    request_id = await space.add(make_rows(2), Options(on_existing=on_existing))
    row = await space.row(request_id)
    assert row["outcome"] == outcome
    assert row["account_id"] == (account_id if outcome else None)
    assert (await space.read(request_id)).counts == counts


async def test_what_is_wrong_with_a_row_outweighs_that_it_exists(space: Space) -> None:
    await space.keep("user1@example.com")
    rows = [
        make_row(1),
        make_row(2, email="user1@example.com", errors=WRONG),
        make_row(3, email="user1@example.com", duplicate_of=1),
    ]
    request_id = await space.add(rows, Options(on_existing=OnExisting.FAIL))
    kept = {row.row: row for row in await list_row_results(space.db, request_id)}
    assert [error["code"] for error in kept[1].errors] == ["exists"]
    assert [error["code"] for error in kept[2].errors] == ["range"]
    assert (kept[3].outcome, kept[3].duplicate_of) == ("duplicate", 1)


async def test_another_workspace_knows_nothing_of_it(space: Space) -> None:
    request_id = await space.add([make_row(1)])
    with pytest.raises(NotFound):
        await get_request(space.db, uuid4(), request_id)
    with pytest.raises(NotFound):
        await get_request(space.db, space.id, uuid4())
    assert (await get_request(space.db, space.id, request_id)).id == request_id
    assert await list_requests(space.db, uuid4()) == []


async def test_requests_are_listed_newest_first_page_by_page(space: Space) -> None:
    made = [await space.add([make_row(1)]) for _ in range(5)]
    listed = await list_requests(space.db, space.id)
    assert [request.id for request in listed] == made[::-1]
    assert await count_requests(space.db, space.id) == 5
    page = await list_requests(space.db, space.id, limit=2)
    rest = await list_requests(space.db, space.id, before=(page[-1].created_at, page[-1].id))
    assert [request.id for request in page + rest] == made[::-1]
    assert [request.id for request in await list_requests(space.db, space.id, limit=2, offset=3)] == made[1::-1]


async def test_requests_of_one_moment_are_not_lost_between_pages(space: Space) -> None:
    made = {await space.add([make_row(1)]) for _ in range(5)}
    await space.db.execute("UPDATE requests SET created_at = now() WHERE workspace_id = $1", space.id)
    seen = []
    before = None
    while page := await list_requests(space.db, space.id, before=before, limit=2):
        seen += [request.id for request in page]
        before = (page[-1].created_at, page[-1].id)
    assert sorted(seen) == sorted(made)


async def test_each_visible_change_has_a_version_of_its_own(space: Space) -> None:
    request_id = await space.add(make_rows(2))
    versions = []

    async def note() -> None:
        versions.append((await list_versions(space.db, [request_id]))[request_id])

    await note()
    worker = uuid4()
    first, second = await space.claim(request_id, worker)
    await note()
    await space.end(worker, ended(first))
    await note()
    await space.end(worker, ended(second))
    await note()
    await mark_report_written(space.db, request_id, "path", b"hash", 2)
    await note()
    numbers, states = zip(*versions, strict=True)
    assert list(numbers) == sorted(set(numbers))
    assert states == ("queued", "processing", "processing", "reporting", "done")
    assert await list_versions(space.db, [uuid4()]) == {}


@pytest.mark.parametrize(
    ("code", "status"),
    [("ok", RequestStatus.COMPLETED), ("invalid_credentials", RequestStatus.COMPLETED_WITH_ERRORS)],
)
async def test_a_request_is_done_when_its_report_is_written_once(
    space: Space, code: str, status: RequestStatus
) -> None:
    request_id = await space.add([make_row(1)])
    worker = uuid4()
    assert not await mark_report_written(space.db, request_id, "early", b"", 0)
    await space.end(worker, *[ended(row, code) for row in await space.claim(request_id, worker)])
    assert (await space.read(request_id)).status is RequestStatus.PROCESSING
    assert await mark_report_written(space.db, request_id, "first", b"hash", 1)
    assert not await mark_report_written(space.db, request_id, "second", b"other", 1)
    request = await space.read(request_id)
    assert (request.status, request.report_path, request.report_row_count) == (status, "first", 1)
    assert request.finished_at is not None
    await reopen_report(space.db, request_id)
    request = await space.read(request_id)
    assert (request.state, request.report_path, request.finished_at) == ("reporting", None, None)


async def test_rows_are_found_by_outcome_and_by_code(space: Space) -> None:
    request_id = await space.add(make_rows(4))
    worker = uuid4()
    first, second, third, _ = await space.claim(request_id, worker)
    await space.end(worker, ended(first), ended(second, "invalid_credentials"), waiting(third))

    async def numbers(**filters: str) -> list[int]:
        return [row.row for row in await list_row_results(space.db, request_id, **filters)]  # type: ignore[arg-type]  # only texts are given

    assert await numbers() == [1, 2, 3, 4]
    assert await numbers(outcome="connected") == [1]
    assert await numbers(outcome="pending") == [3, 4]
    assert await numbers(code="invalid_credentials") == [2]
    assert await numbers(outcome="pending", code="connection_timeout") == [3]
    assert [row.row for row in await list_row_results(space.db, request_id, after_row=2, limit=1)] == [3]
    assert await count_rows_with_code(space.db, request_id, "", "invalid_credentials") == 1
    assert await count_rows_with_code(space.db, request_id, "pending", "connection_timeout") == 1
    assert await count_rows_with_code(space.db, request_id, "connected", "connection_timeout") == 0


async def test_failures_are_grouped_the_largest_group_first(space: Space) -> None:
    request_id = await space.add([*make_rows(3), make_row(4, email="info@example.net")])
    worker = uuid4()
    await space.end(worker, *[ended(row, "invalid_credentials") for row in await space.claim(request_id, worker)])
    groups = await list_error_groups(space.db, request_id, by_domain=["invalid_credentials"])
    found = {(group.protocol, group.domain, group.count, group.first_row) for group in groups}
    assert found == {
        (side, *rest) for side in ("smtp", "imap") for rest in (("example.com", 3, 1), ("example.net", 1, 4))
    }
    assert [group.count for group in groups] == [3, 3, 1, 1]
    assert groups[0].reply == "535 5.7.8 Bad credentials"

    whole = await list_error_groups(space.db, request_id)
    assert [(group.protocol, group.domain, group.count, group.first_row) for group in whole] == [
        ("imap", "", 4, 1),
        ("smtp", "", 4, 1),
    ]
    alone = await list_error_groups(space.db, request_id, by_domain=["invalid_credentials"], least_rows_of_domain=4)
    assert [group.count for group in alone] == [4, 4]


async def test_rows_that_are_tried_again_have_not_failed_yet(space: Space) -> None:
    request_id = await space.add(make_rows(2))
    worker = uuid4()
    first, second = await space.claim(request_id, worker)
    await space.end(worker, ended(first, "invalid_credentials"), waiting(second))
    assert {group.code for group in await list_error_groups(space.db, request_id)} == {"invalid_credentials"}


async def test_what_waits_in_a_workspace_is_summed(space: Space) -> None:
    assert await sum_queued_rows(space.db, space.id) == 0
    await space.add(make_rows(3))
    await close(space)
    assert await sum_queued_rows(space.db, space.id) == 3


async def test_secrets_are_destroyed_when_their_time_is_over(space: Space) -> None:
    request_id = await space.add(make_rows(1), Options(save=Save.ALL))
    worker = uuid4()
    await space.end(worker, *[ended(row, "invalid_credentials") for row in await space.claim(request_id, worker)])
    running = await space.add(make_rows(1))
    await space.db.execute(
        "UPDATE requests SET closed_at = now() - interval '25 hours' WHERE id = $1 AND closed_at IS NOT NULL",
        request_id,
    )
    await purge_secrets(space.db, timedelta(hours=26))
    assert (await space.read(request_id)).data_key is not None
    await purge_secrets(space.db, timedelta(hours=24))
    assert (await space.read(request_id)).data_key is None
    assert (await space.read(running)).data_key is not None


async def test_a_request_past_its_retention_goes_with_all_its_rows(space: Space) -> None:
    request_id = await space.add(make_rows(3), days=-1)
    kept = await space.add(make_rows(1))
    assert (request_id, None) in await list_expired_requests(space.db)
    await purge_request(space.db, request_id)
    with pytest.raises(NotFound):
        await space.read(request_id)
    assert await space.db.fetchval("SELECT count(*) FROM request_rows WHERE request_id = $1", request_id) == 0
    assert kept not in [found for found, _ in await list_expired_requests(space.db)]


async def test_a_retry_knows_what_it_retries_and_outlives_it(space: Space) -> None:
    parent = await space.add([make_row(1)])
    child = new_id()
    await insert_request(
        space.db, child, space.id, Options(), [[make_row(1)]], [], count=1, data_key=bytes(32),
        wrapped_key=b"wrapped", retention=timedelta(days=1), kind="retry", parent_id=parent,
    )  # fmt: skip
    assert (await space.read(child)).parent_id == parent
    await purge_request(space.db, parent)
    assert (await space.read(child)).parent_id is None
