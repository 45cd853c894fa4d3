"""The report as CSV: at any time with a key, and when it is finished by a signed link without one."""

import asyncio
import csv
import io
import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from aiohttp import ClientPayloadError
from yarl import URL

from app.api.context import Api
from app.report.rows import HEADER
from app.reports import ReportStoreError
from app.seal import sign_link
from app.store.db import Unavailable
from app.store.requests import purge_request
from app.store.rows import RowResult, list_row_results
from jobs.write_report import write_report
from tests.api.asking import CONNECT, STATUS, Answer, Client, Service, ask, row


def read(answer: Answer) -> list[dict[str, str]]:
    assert answer.kind == "text/csv"
    return list(csv.DictReader(io.StringIO(answer.text)))


async def finish(service: Service, *rows: object) -> tuple[str, URL]:
    """End a request without any check; return its id and the link to its report, as a path of this service."""
    request_id = await service.connected(*rows)
    await service.post(f"{CONNECT}/{request_id}/cancel")
    assert await write_report(service.api.db, service.api.reports, UUID(request_id))
    return request_id, URL((await service.get(f"{STATUS}/{request_id}")).payload["reportURL"]).relative()


async def test_what_is_known_so_far_is_there_at_any_time(service: Service) -> None:
    request_id = await service.connected(row("a"), row("b", smtpPort=0), row("a"), row("c", colour="blue"))
    answer = await service.get(f"{CONNECT}/{request_id}/report.csv")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.text.partition("\r\n")[0].split(",") == [*HEADER, "colour"]
    lines = read(answer)
    assert [line["outcome"] for line in lines] == ["", "invalid", "duplicate", ""]
    assert [line["row"] for line in lines] == ["1", "2", "3", "4"]
    assert lines[3]["colour"] == "blue"


async def test_the_file_has_the_name_that_is_promised(service: Service) -> None:
    request_id = await service.connected(row())
    said = (await service.get(f"{CONNECT}/{request_id}/report.csv")).headers["Content-Disposition"]
    head, _, tail = said.partition(f"Email-Account_Bulk_Report_{request_id}_")
    assert head == 'attachment; filename="'
    milliseconds = int(tail.removesuffix('.csv"'))
    assert abs(milliseconds / 1000 - time.time()) < 60


@pytest.mark.parametrize(
    ("outcome", "rows"), [("invalid", ["2"]), ("pending", ["1"]), ("failed", []), ("", ["1", "2"])]
)
async def test_the_report_can_be_filtered(service: Service, outcome: str, rows: list[str]) -> None:
    request_id = await service.connected(row("a"), row("b", smtpPort=0))
    answer = await service.get(f"{CONNECT}/{request_id}/report.csv", params={"outcome": outcome})
    assert [line["row"] for line in read(answer)] == rows


async def test_a_filter_that_is_none_is_refused(service: Service) -> None:
    answer = await service.get(f"{CONNECT}/{await service.connected(row())}/report.csv?outcome=good")
    assert (answer.status, answer.problem) == (400, "parameter")


async def test_a_long_report_comes_in_pieces_and_whole(service: Service) -> None:
    lines = b"\n".join(b"[]" for _ in range(1000))
    ids = []
    for _ in range(5):
        answer = await service.ask("POST", CONNECT, data=lines, headers={"Content-Type": "application/x-ndjson"})
        ids.append(UUID(answer.payload["requestId"]))
    for place, other in enumerate(ids[1:], 1):
        await service.api.db.execute(
            "UPDATE request_rows SET request_id = $1, row = row + $3 WHERE request_id = $2", ids[0], other, place * 1000
        )
    async with service.client.get(f"{CONNECT}/{ids[0]}/report.csv", headers={"x-api-key": service.key}) as response:
        assert response.headers["Transfer-Encoding"] == "chunked"
        text = (await response.read()).decode()
    assert [line["row"] for line in csv.DictReader(io.StringIO(text))] == [str(n) for n in range(1, 5001)]


async def test_the_link_opens_without_a_key(running: tuple[Api, Client], service: Service) -> None:
    request_id, link = await finish(service, row("a"), row("b", smtpPort=0))
    answer = await ask(running[1], "GET", str(link))
    assert answer.status == 200
    assert [line["outcome"] for line in read(answer)] == ["cancelled", "invalid"]
    assert request_id in answer.headers["Content-Disposition"]
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.body == (await service.get(f"{CONNECT}/{request_id}/report.csv")).body


async def test_excel_is_told_of_utf_8_where_the_call_asks_for_it(running: tuple[Api, Client], service: Service) -> None:
    request_id, link = await finish(service, row("a", Büro="Köln"))
    path = f"{CONNECT}/{request_id}/report.csv"
    plain = (await service.get(path)).body
    assert plain.startswith(b"row,")
    assert "Köln" in plain.decode()
    marked = [
        await service.get(path, params={"bom": "true"}),
        await ask(running[1], "GET", str(link.update_query(bom="1"))),
        await service.get(path, params={"bom": "true", "outcome": "cancelled"}),
    ]
    for answer in marked:
        assert answer.body == b"\xef\xbb\xbf" + plain
    assert marked[1].headers["Content-Length"] == str(len(plain) + 3)
    assert (await service.get(path, params={"bom": "false"})).body == plain
    for answer in (
        await service.get(path, params={"bom": "perhaps"}),
        await ask(running[1], "GET", str(link.update_query(bom="perhaps"))),
    ):
        assert (answer.status, answer.problem) == (400, "parameter")


async def test_a_link_that_was_changed_does_not_open(running: tuple[Api, Client], service: Service) -> None:
    _, link = await finish(service, row())
    _, other = await finish(service, row())
    expires, signature = link.query["expires"], link.query["signature"]
    for changed in (
        link.with_query(expires=expires),
        link.with_query(signature=signature),
        link.with_query(expires=int(expires) + 3600, signature=signature),
        link.with_query(expires=f"{expires}0", signature=signature),
        link.with_query(expires="9" * 20, signature=signature),
        link.with_query(expires="²", signature=signature),
        link.with_query(expires=expires, signature=signature[:-1]),
        link.with_query(expires=expires, signature="é" * 8),
        other.with_query(link.query),
    ):
        answer = await ask(running[1], "GET", str(changed))
        assert (answer.status, answer.problem) == (403, "link")
    assert (await ask(running[1], "GET", str(link))).status == 200


async def test_a_link_opens_until_it_expires(running: tuple[Api, Client], service: Service) -> None:
    _, link = await finish(service, row())
    path = link.path.removeprefix("/v1/reports/")
    key = service.api.reports.link_key
    for seconds, status in ((-1, 403), (60, 200)):
        expires = int(time.time()) + seconds
        signed = link.with_query(expires=expires, signature=sign_link(path, expires, key))
        assert (await ask(running[1], "GET", str(signed))).status == status


async def test_a_file_that_is_gone_is_written_again(running: tuple[Api, Client], service: Service) -> None:
    request_id, link = await finish(service, row())
    stored = Path(URL(service.api.settings.report_store).path) / link.path.removeprefix("/v1/reports/")
    before = stored.read_bytes()
    stored.unlink()
    answer = await ask(running[1], "GET", str(link))
    assert (answer.status, answer.problem) == (503, "report-gone")
    assert answer.headers["Retry-After"]
    assert (await service.get(f"{STATUS}/{request_id}")).payload["isCompleted"] is False
    await write_report(service.api.db, service.api.reports, UUID(request_id))
    assert (await ask(running[1], "GET", str(link))).body == before


async def test_a_link_to_a_request_that_was_deleted_is_told_so(running: tuple[Api, Client], service: Service) -> None:
    request_id, link = await finish(service, row())
    await service.api.reports.delete(link.path.removeprefix("/v1/reports/"))
    await purge_request(service.api.db, UUID(request_id))
    answer = await ask(running[1], "GET", str(link))
    assert (answer.status, answer.problem) == (404, "not-found")


async def test_a_report_that_cannot_be_written_is_told_until_it_is(service: Service) -> None:
    request_id = await service.connected(row())
    known = await service.get(f"{STATUS}/{request_id}")
    waiting = asyncio.create_task(service.get(f"{STATUS}/{request_id}?wait=20"))
    await service.post(f"{CONNECT}/{request_id}/cancel")
    assert (await waiting).payload["reportProblem"] is None
    blocked = Path(URL(service.api.settings.report_store).path) / str(service.workspace_id)
    blocked.write_text("a file where the workspace's folder should be")
    assert not await write_report(service.api.db, service.api.reports, UUID(request_id))
    told = await service.get(f"{STATUS}/{request_id}")
    assert "cannot be written" in told.payload["reportProblem"]
    assert (told.payload["isCompleted"], told.payload["counts"]["cancelled"]) == (False, 1)
    assert told.headers["ETag"] != known.headers["ETag"]
    assert [line["outcome"] for line in read(await service.get(f"{CONNECT}/{request_id}/report.csv"))] == ["cancelled"]
    blocked.unlink()
    assert await write_report(service.api.db, service.api.reports, UUID(request_id))
    done = (await service.get(f"{STATUS}/{request_id}")).payload
    assert (done["isCompleted"], done["reportProblem"]) == (True, None)


async def test_a_file_that_cannot_be_read_just_now_is_not_written_again(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing: list[bytes] = []

    async def break_off() -> AsyncIterator[bytes]:
        for block in nothing:
            yield block
        raise ReportStoreError("GenericError")

    async def refuse(*_: object) -> tuple[int, AsyncIterator[bytes]]:
        raise ReportStoreError("GenericError")

    async def begin(*_: object) -> tuple[int, AsyncIterator[bytes]]:
        return 10, break_off()

    request_id, link = await finish(service, row())
    for stream in (refuse, begin):
        with monkeypatch.context() as patch:
            patch.setattr(type(service.api.reports), "stream", stream)
            answer = await ask(service.client, "GET", str(link))
            assert (answer.status, answer.problem) == (503, "unavailable")
    assert (await service.get(f"{STATUS}/{request_id}")).payload["isCompleted"] is True
    assert (await ask(service.client, "GET", str(link))).status == 200


async def test_a_signed_link_to_what_never_was_is_an_error_and_no_more(
    running: tuple[Api, Client], service: Service
) -> None:
    expires = int(time.time()) + 60
    for path in ("nothing/here.csv", "here"):
        signature = sign_link(path, expires, service.api.reports.link_key)
        answer = await ask(running[1], "GET", f"/v1/reports/{path}?expires={expires}&signature={signature}")
        assert (answer.status, answer.problem) == (404, "not-found")


async def test_a_reader_who_goes_away_harms_nobody(service: Service) -> None:
    request_id = await service.connected(*[row(f"n{n}") for n in range(500)])
    response = await service.client.get(f"{CONNECT}/{request_id}/report.csv", headers={"x-api-key": service.key})
    response.close()
    await asyncio.sleep(0)
    assert (await service.get(f"{STATUS}/{request_id}")).status == 200


async def test_a_report_that_breaks_off_does_not_look_whole(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    request_id = await service.connected(row("a"), row("b"))
    rows = await list_row_results(service.api.db, UUID(request_id))

    async def break_off(*_: object, **__: object) -> AsyncIterator[list[RowResult]]:
        yield rows
        raise Unavailable("PostgreSQL went away")

    monkeypatch.setattr("app.api.reports.iterate_report_lines", break_off)
    headers = {"x-api-key": service.key}
    async with service.client.get(f"{CONNECT}/{request_id}/report.csv", headers=headers) as response:
        assert response.status == 200
        with pytest.raises(ClientPayloadError):
            await response.read()


async def test_a_report_that_cannot_begin_is_a_problem(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: list[list[RowResult]] = []

    async def break_off(*_: object, **__: object) -> AsyncIterator[list[RowResult]]:
        for rows in nothing:
            yield rows
        raise Unavailable("PostgreSQL went away")

    request_id = await service.connected(row())
    monkeypatch.setattr("app.api.reports.iterate_report_lines", break_off)
    answer = await service.get(f"{CONNECT}/{request_id}/report.csv")
    assert (answer.status, answer.problem) == (503, "unavailable")


async def test_a_link_can_be_asked_for_its_head_alone(running: tuple[Api, Client], service: Service) -> None:
    _, link = await finish(service, row())
    whole = await ask(running[1], "GET", str(link))
    async with running[1].head(link) as response:
        assert (response.status, await response.read()) == (200, b"")
        assert response.headers["Content-Length"] == str(len(whole.body))


async def test_a_report_store_that_signs_nothing_is_told_as_away(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> str:
        raise ReportStoreError("PermissionError")

    request_id, _ = await finish(service, row())
    monkeypatch.setattr(type(service.api.reports), "link", refuse)
    answer = await service.get(f"{STATUS}/{request_id}")
    assert (answer.status, answer.problem) == (503, "unavailable")
