"""A row that found no turn at its host was not tried: it costs no try, no login and none of its time for retries."""

from uuid import uuid4

from app.store.lines import iterate_report_lines
from app.store.rows import list_row_results
from tests.store.ledger import Space, make_row, waiting


async def test_put_off_is_counted_and_is_no_try(space: Space) -> None:
    request_id, worker = await space.add([make_row(1)]), uuid4()
    (claimed,) = await space.claim(request_id, worker)
    assert claimed.put_off_count == 0
    assert claimed.first_claimed_at is not None
    await space.end(worker, waiting(claimed, seconds=-1, is_put_off=1, sides=()))
    row = await space.row(request_id)
    assert (row["attempt"], row["put_off_count"], row["first_claimed_at"]) == (1, 1, None)
    assert (row["smtp_login_count"], row["smtp_unanswered_count"]) == (0, 0)


async def test_budget_begins_with_the_first_try_and_does_not_move(space: Space) -> None:
    request_id, worker = await space.add([make_row(1)]), uuid4()
    began = []
    for is_put_off in (1, 0, 1, 0):
        (claimed,) = await space.claim(request_id, worker)
        began.append(claimed.first_claimed_at)
        await space.end(worker, waiting(claimed, seconds=-1, is_put_off=is_put_off))
        await space.db.execute(
            "UPDATE request_rows SET state = 'queued', due_at = NULL WHERE request_id = $1", request_id
        )
    assert began[0] != began[1]
    assert began[1] == began[2] == began[3]
    assert (await space.row(request_id))["put_off_count"] == 2
    (line,) = [line async for block in iterate_report_lines(space.db, request_id) for line in block]
    (result,) = await list_row_results(space.db, request_id)
    assert line.attempts == result.attempts == 2
