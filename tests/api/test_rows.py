"""Row results: in input order, page by page, filtered. And requests: newest first, page by page, cancelled."""

from uuid import UUID, uuid4

import pytest

from tests.api.asking import CONNECT, STATUS, Service, row


@pytest.fixture
async def request_id(service: Service) -> str:
    """Return a request with ten rows: every third is invalid, the last is a duplicate of the first."""
    rows = [row(f"n{n}", **({"smtpPort": 0} if n % 3 == 0 else {})) for n in range(1, 10)]
    return await service.connected(*rows, row("n1"))


async def walk(service: Service, path: str, **params: str) -> list[list[int]]:
    """Follow the cursors to the end; return the numbers of the rows of each page."""
    pages, cursor = [], ""
    while True:
        payload = (await service.get(path, params={**params, **({"cursor": cursor} if cursor else {})})).payload
        pages.append([entry["row"] for entry in payload["items"]])
        cursor = payload["nextCursor"]
        if cursor is None:
            return pages


async def test_rows_come_in_input_order_and_in_pages(service: Service, request_id: str) -> None:
    path = f"{CONNECT}/{request_id}/rows"
    assert await walk(service, path) == [list(range(1, 11))]
    assert await walk(service, path, limit="4") == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
    assert await walk(service, path, limit="5") == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]]
    assert (await service.get(path, params={"limit": "1"})).payload["total"] == 10


@pytest.mark.parametrize(
    ("outcome", "rows"),
    [
        ("invalid", [3, 6, 9]),
        ("duplicate", [10]),
        ("pending", [1, 2, 4, 5, 7, 8]),
        ("connected", []),
        ("failed", []),
        ("skipped", []),
        ("cancelled", []),
    ],
)
async def test_rows_are_filtered_by_outcome(service: Service, request_id: str, outcome: str, rows: list[int]) -> None:
    path = f"{CONNECT}/{request_id}/rows"
    assert await walk(service, path, outcome=outcome) == [rows]
    assert [n for page in await walk(service, path, outcome=outcome, limit="2") for n in page] == rows
    assert (await service.get(path, params={"outcome": outcome})).payload["total"] == len(rows)


async def test_a_row_without_an_address_shows_what_was_written(service: Service) -> None:
    wrong = "=sales at example.com"
    request_id = await service.connected({**row("n1"), "smtpEmailAddress": wrong, "imapEmailAddress": ""})
    (entry,) = (await service.get(f"{CONNECT}/{request_id}/rows")).payload["items"]
    assert (entry["outcome"], entry["emailAddress"]) == ("invalid", wrong)
    report = (await service.get(f"{CONNECT}/{request_id}/report.csv")).body.decode()
    assert f",'{wrong},invalid," in report


async def test_an_offset_passes_rows_over(service: Service, request_id: str) -> None:
    path = f"{CONNECT}/{request_id}/rows"
    assert (await walk(service, path, offset="7"))[0] == [8, 9, 10]
    assert (await walk(service, path, outcome="invalid", offset="1"))[0] == [6, 9]
    assert (await walk(service, path, offset="99"))[0] == []


async def test_a_row_says_what_is_wrong_with_it_and_where_its_settings_came_from(
    service: Service, request_id: str
) -> None:
    items = (await service.get(f"{CONNECT}/{request_id}/rows")).payload["items"]
    (error,) = items[2]["errors"]
    assert (error["row"], error["field"], error["code"]) == (3, "smtpPort", "range")
    assert items[0]["sources"]["smtp"]["host"] == "row"
    assert items[0]["sources"]["imap"]["password"] == "other_side"
    assert (items[0]["outcome"], items[0]["smtp"], items[0]["checkedAt"]) == (None, None, None)
    assert items[9]["smtp"]["status"] == "skipped"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("outcome", "good"),
        ("code", "nonsense"),
        ("limit", "0"),
        ("limit", "1001"),
        ("limit", "0000000000001001"),
        ("limit", "ten"),
        ("limit", "１"),
        ("offset", "-1"),
        ("cursor", "x"),
        ("cursor", "-1"),
        ("cursor", "99999999999"),
    ],
)
async def test_values_that_make_no_sense_are_refused(service: Service, request_id: str, name: str, value: str) -> None:
    answer = await service.get(f"{CONNECT}/{request_id}/rows", params={name: value})
    assert (answer.status, answer.problem) == (400, "parameter")
    assert answer.json["errors"][0]["field"] == name


async def test_requests_come_newest_first_and_in_pages(service: Service) -> None:
    made = [await service.connected(row(), name=f"list {n}") for n in range(5)]
    seen, cursor = [], ""
    while True:
        payload = (await service.get(CONNECT, params={"limit": "2", **({"cursor": cursor} if cursor else {})})).payload
        assert payload["total"] == 5
        seen += [entry["requestId"] for entry in payload["items"]]
        cursor = payload["nextCursor"]
        if cursor is None:
            break
    assert seen == made[::-1]
    assert [entry["name"] for entry in payload["items"]] == ["list 0"]
    offset = (await service.get(CONNECT, params={"offset": "3"})).payload
    assert [entry["requestId"] for entry in offset["items"]] == made[1::-1]


async def test_a_request_that_comes_in_between_moves_no_page(service: Service) -> None:
    made = [await service.connected(row()) for _ in range(3)]
    first = (await service.get(CONNECT, params={"limit": "2"})).payload
    await service.connected(row())
    second = (await service.get(CONNECT, params={"limit": "2", "cursor": first["nextCursor"]})).payload
    assert [entry["requestId"] for entry in second["items"]] == [made[0]]


@pytest.mark.parametrize("cursor", ["x", "AAAA", "é", "_" * 32, "/" * 32, "A" * 33])
async def test_a_cursor_of_another_list_is_refused(service: Service, cursor: str) -> None:
    answer = await service.get(CONNECT, params={"cursor": cursor})
    assert (answer.status, answer.problem) == (400, "parameter")


async def test_cancelling_takes_back_what_nobody_checks_yet(service: Service, request_id: str) -> None:
    answer = await service.post(f"{CONNECT}/{request_id}/cancel")
    assert answer.status == 200
    assert answer.payload["counts"]["cancelled"] == 6
    assert answer.payload["counts"]["pending"] == 0
    assert "cancelled" in answer.json["message"]
    again = await service.post(f"{CONNECT}/{request_id}/cancel")
    assert (again.status, again.payload["counts"]["cancelled"]) == (200, 6)


async def test_cancelling_what_is_over_changes_nothing_and_says_so(service: Service) -> None:
    request_id = await service.connected(row(smtpPort=0))
    answer = await service.post(f"{CONNECT}/{request_id}/cancel")
    assert answer.status == 200
    assert answer.payload["status"] != "cancelled"
    assert "over" in answer.json["message"]


async def test_rows_in_flight_end_by_themselves(service: Service, request_id: str) -> None:
    await service.api.db.execute(
        "UPDATE request_rows SET state = 'checking', worker_id = $2, claimed_at = now()"
        " WHERE request_id = $1 AND row = 1",
        UUID(request_id),
        uuid4(),
    )
    answer = await service.post(f"{CONNECT}/{request_id}/cancel")
    assert (answer.payload["counts"]["cancelled"], answer.payload["counts"]["pending"]) == (5, 1)
    assert (await service.get(f"{STATUS}/{request_id}")).payload["isCompleted"] is False
