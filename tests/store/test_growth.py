"""Questions about a large request cost what its size does, whatever PostgreSQL's statistics know of it.

They know nothing of a request that was just stored: it is taken for a row or two beside those of yesterday. A join that
is planned so reads the whole request once more for each of its rows.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.store.db import Statement, bind, transaction
from app.store.requests import _COUNT_ROWS_WITH_CODE, purge_request
from app.store.rows import _LIST_ERROR_GROUPS, _LIST_ROW_RESULTS
from sql import load_queries
from tests.store.ledger import Space, count_read, ended, make_rows

OLD, NEW = 1000, 2000
WORKER = uuid4()
ABOUT_ALL: dict[str, list[tuple[object, ...]]] = {
    "list_error_groups": [(["invalid_credentials"], 3), ([], 1)],
    "count_rows_with_code": [("", "invalid_credentials"), ("failed", "invalid_credentials")],
    "list_row_results": [
        (0, "", "", 501, 0),
        (0, "failed", "invalid_credentials", 501, 0),
        (0, "", "blocked", 501, 0),
        (1500, "", "", 51, 400),
    ],
    "list_failed_rows": [()],
}
"""Questions by name, with what they are asked besides the request."""

ABOUT_SOME: dict[str, list[tuple[object, ...]]] = {
    "claim_rows": [
        (WORKER, 10, [], [], [], 1000, 40, "15 minutes", 1),
        (WORKER, 10, ["a"], ["b"], [3], 5, 40, "1 day", 1),
        (WORKER, 10, [], [], [], 1000, 40, "15 minutes", NEW - 30),
    ],
    "list_queued_keys": [(100, 10)],
    "list_report_lines": [(NEW - 30, NEW, "", True), (NEW - 30, NEW, "failed", False)],
    "list_report_sides": [(NEW // 2 - 30, NEW // 2)],
    "list_row_results": [(NEW - 30, "", "", 20, 0), (0, "", "", 101, 0)],
    "list_open_checks": [(list(range(1, 20)),)],
    "get_last_row": [()],
}


async def fill(space: Space, count: int, until: int) -> UUID:
    """Store a request of which the rows until `until` have failed."""
    request_id, worker = await space.add(make_rows(count)), uuid4()
    for first in range(0, until, 500):
        rows = await space.claim(request_id, worker, min(500, until - first))
        await space.end(worker, *[ended(row, "invalid_credentials") for row in rows])
    return request_id


async def rows_touched(space: Space, request_id: UUID, mode: str, name: str, values: tuple[object, ...]) -> float:
    """Return how many rows went through the hands of all steps of the plan, as PostgreSQL carried it out."""
    query = load_queries()[name]
    kinds = [kind for _, kind in query.params]
    given = ", ".join(map(write_literal, [request_id, *values], kinds))
    async with transaction(space.db) as link:
        await link.execute(f"SET LOCAL plan_cache_mode = {mode}")
        await link.execute(f"PREPARE question ({', '.join(kinds)}) AS {query.sql}")
        found = await link.fetchval(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) EXECUTE question ({given})")
        await link.execute("DEALLOCATE question")
        # What was claimed here is queued again.
        await link.execute("UPDATE request_rows SET state = 'queued', worker_id = NULL WHERE worker_id = $1", WORKER)
    removed = ("Rows Removed by Filter", "Rows Removed by Join Filter", "Rows Removed by Index Recheck")
    return float(
        sum(
            step["Actual Loops"] * (step["Actual Rows"] + sum(step.get(reason, 0) for reason in removed))
            for step in steps(found[0]["Plan"])
        )
    )


def steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from steps(part)


def write_literal(value: object, kind: str) -> str:
    text = "{" + ",".join(map(str, value)) + "}" if isinstance(value, list) else str(value)
    return f"'{text}'::{kind}"


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_no_question_reads_a_request_once_for_each_of_its_rows(space_on_each: Space, mode: str) -> None:
    space = space_on_each
    await fill(space, OLD, OLD)
    await space.db.execute("ANALYZE request_rows, checks")
    whole, half = await fill(space, NEW, NEW), await fill(space, NEW, NEW // 2)
    about_all = {
        (name, *map(str, values)): await rows_touched(space, whole, mode, name, values)
        for name, questions in ABOUT_ALL.items()
        for values in questions
    }
    assert {question: rows for question, rows in about_all.items() if not 500 < rows < 20 * NEW} == {}
    about_some = {
        (name, *map(str, values)): await rows_touched(space, half, mode, name, values)
        for name, questions in ABOUT_SOME.items()
        for values in questions
    }
    assert {question: rows for question, rows in about_some.items() if not 0 < rows < NEW // 2} == {}


async def test_a_request_is_deleted_without_a_look_at_all_the_others(space_on_each: Space) -> None:
    request_id = await space_on_each.add(make_rows(1))
    async with space_on_each.db.acquire() as link:
        await link.execute(
            "INSERT INTO requests SELECT (jsonb_populate_record(one, jsonb_build_object('id', gen_random_uuid()))).*"
            " FROM requests AS one, generate_series(1, 5000) WHERE one.id = $1",
            request_id,
        )
        await link.execute("ANALYZE requests")
        before = await count_read(link)
        await purge_request(link, request_id)
        assert await count_read(link) - before < 100


async def test_a_statement_that_is_planned_anew_keeps_no_plan(space: Space) -> None:
    request_id = await space.add(make_rows(1))
    plain, anew = bind("get_last_row"), bind("get_request_for_job").planned_anew()
    async with space.db.acquire() as link:
        before = await count_kept_plans(link, plain, anew)
        for _ in range(10):
            assert (await plain.one(link, request_id))["last_row"] == 1
            assert (await anew.one(link, request_id))["id"] == request_id
        after = await count_kept_plans(link, plain, anew)
        assert await link.fetchval("SHOW plan_cache_mode") == "auto"
    assert after[0] > before[0]
    assert after[1] == before[1]


async def count_kept_plans(link: Any, *statements: Statement) -> list[int]:
    """Return how often each statement was carried out by a plan that is kept."""
    asked = "SELECT coalesce(sum(generic_plans), 0) FROM pg_prepared_statements WHERE statement = $1"
    return [int(await link.fetchval(asked, statement.query.sql)) for statement in statements]


def test_questions_that_look_up_by_key_for_each_row_are_planned_anew() -> None:
    for statement in (_LIST_ROW_RESULTS, _LIST_ERROR_GROUPS, _COUNT_ROWS_WITH_CODE):
        assert "LATERAL" in statement.query.sql
        assert statement.is_planned_anew
