"""The client of our own API: what it asks, and what it makes of every kind of answer."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from app import client as client_module
from app.client import EXIT_UNREACHABLE, EXIT_USAGE, Client, ClientError, ConnectOptions
from tests.client.conftest import Stub, payload, problem

CONNECT = "/v1/email-accounts/connect"
STATUS = f"{CONNECT}/status/r1"


async def test_rows_go_out_as_json_with_key_and_idempotency_key(stub: Stub) -> None:
    stub.on("POST", CONNECT, payload(requestId="r1", total=1))
    options = ConnectOptions(name="spring", save="none", on_existing="skip", auto_correct=False, strict=True)
    async with Client(stub.url, "bc_live_x") as client:
        assert await client.connect([{"smtpEmailAddress": "info@example.com"}], options, "once") == {
            "requestId": "r1",
            "total": 1,
        }
    (_, path, headers, body) = stub.asked[0]
    assert path == f"{CONNECT}?name=spring&save=none&onExisting=skip&autoCorrect=false&strict=true"
    assert headers["x-api-key"] == "bc_live_x"
    assert headers["Idempotency-Key"] == "once"
    assert msgspec.json.decode(body) == [{"smtpEmailAddress": "info@example.com"}]


def test_what_is_not_said_is_left_to_the_service() -> None:
    assert ConnectOptions().query() == {}


async def test_a_request_is_watched_until_it_is_completed(stub: Stub) -> None:
    stub.on(
        "GET", STATUS, payload(isCompleted=False, n=1), payload(isCompleted=False, n=2), payload(isCompleted=True, n=3)
    )
    async with Client(stub.url, "k") as client:
        seen = [status["n"] async for status in client.watch("r1", 0.01)]
    assert seen == [1, 2, 3]


async def test_a_service_that_restarts_is_waited_for(stub: Stub) -> None:
    stub.on("GET", STATUS, problem(503, "Starting."), payload(isCompleted=True))
    async with Client(stub.url, "k") as client:
        assert [status["isCompleted"] async for status in client.watch("r1", 0.01)] == [True]


async def test_a_service_that_stays_away_is_given_up(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PATIENCE_SECONDS", 0.05)
    stub.on("GET", STATUS, problem(503, "Down for repairs."))
    async with Client(stub.url, "k") as client:
        with pytest.raises(ClientError, match="Down for repairs") as caught:
            [status async for status in client.watch("r1", 0.02)]
    assert caught.value.exit_code == EXIT_UNREACHABLE


async def test_a_request_of_somebody_else_is_not_waited_for(stub: Stub) -> None:
    async with Client(stub.url, "k") as client:
        with pytest.raises(ClientError, match="There is no such thing"):
            [status async for status in client.watch("r1", 0.01)]


@pytest.mark.parametrize(
    ("answer", "words", "code"),
    [
        (problem(401, "The key is unknown."), "The key is unknown. Set BULK_CONNECT_API_KEY", EXIT_USAGE),
        (problem(413, "At most 100000 rows."), "At most 100000 rows.", EXIT_USAGE),
        (problem(429, "Slow down."), "Slow down.", EXIT_UNREACHABLE),
        (problem(500, "It broke."), "It broke.", EXIT_UNREACHABLE),
        (web.Response(status=502, text="<html>Bad gateway</html>"), "answers with HTTP status 502", EXIT_UNREACHABLE),
        (web.Response(text="<html>Welcome</html>"), "is not bulk-connect", EXIT_UNREACHABLE),
        (web.Response(status=302, headers={"Location": "/login"}), "HTTP status 302", EXIT_USAGE),
        (web.json_response([1, 2]), "is not bulk-connect", EXIT_UNREACHABLE),
    ],
)
async def test_refusals_are_told_in_the_services_own_words(stub: Stub, answer: Any, words: str, code: int) -> None:
    stub.on("GET", STATUS, answer)
    async with Client(stub.url, "k") as client:
        with pytest.raises(ClientError) as caught:
            await client.status("r1")
    assert words in str(caught.value)
    assert caught.value.exit_code == code


async def test_row_errors_are_listed_five_at_most(stub: Stub) -> None:
    errors = [{"row": row, "field": "smtpPort", "message": "must be a port"} for row in range(1, 9)]
    stub.on("POST", CONNECT, problem(422, "Rows are invalid.", errors=errors))
    async with Client(stub.url, "k") as client:
        with pytest.raises(ClientError) as caught:
            await client.connect([{}], ConnectOptions(strict=True), "x")
    assert str(caught.value).count("smtpPort: must be a port") == 5
    assert "row 1, smtpPort" in str(caught.value)


async def test_text_of_a_stranger_cannot_colour_the_terminal(stub: Stub) -> None:
    stub.on("GET", STATUS, problem(400, "\x1b[31mred"))
    async with Client(stub.url, "k") as client:
        with pytest.raises(ClientError, match=r"^red$"):
            await client.status("r1")


async def test_a_report_is_written_whole(stub: Stub, tmp_path: Path) -> None:
    target = tmp_path / "report.csv"
    stub.on("GET", f"{CONNECT}/r1/report.csv", web.Response(body=b"row\r\n1\r\n" * 50_000))
    async with Client(stub.url, "k") as client:
        await client.save_report("r1", target, "failed")
        assert await client.save_report("r1", None) == target.read_bytes()
    assert stub.asked[0][1].endswith("report.csv?outcome=failed")
    assert [path.name for path in tmp_path.iterdir()] == ["report.csv"]


async def test_a_report_that_is_refused_leaves_no_file(stub: Stub, tmp_path: Path) -> None:
    async with Client(stub.url, "k") as client:
        with pytest.raises(ClientError):
            await client.save_report("r1", tmp_path / "report.csv")
    assert list(tmp_path.iterdir()) == []


async def test_accounts_come_page_by_page(stub: Stub) -> None:
    stub.on(
        "GET",
        "/v1/email-accounts",
        payload(items=[{"id": 1}], nextCursor="c"),
        payload(items=[{"id": 2}], nextCursor=None),
    )
    async with Client(stub.url, "k") as client:
        assert [account["id"] async for account in client.list_accounts({"status": "OK"})] == [1, 2]
    assert "cursor=c" in stub.asked[1][1]
    assert "status=OK" in stub.asked[1][1]


async def test_accounts_are_checked_again(stub: Stub) -> None:
    stub.on("POST", "/v1/email-accounts/reconnect", payload(requestId="r2"))
    async with Client(stub.url, "k") as client:
        assert (await client.reconnect(["a", "b"], "once"))["requestId"] == "r2"
    assert msgspec.json.decode(stub.asked[0][3]) == {"emailAccountIds": ["a", "b"]}


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:9", "cannot be reached (connection refused)"),
        ("http://no-such-host.invalid", "cannot be reached ("),
    ],
)
async def test_a_service_that_is_not_there_is_told_clearly(url: str, words: str) -> None:
    async with Client(url, "k") as client:
        with pytest.raises(ClientError) as caught:
            await client.status("r1")
        with pytest.raises(ClientError):
            await client.save_report("r1", None)
    assert words in str(caught.value)


@pytest.mark.parametrize("url", ["not an address", "ftp://127.0.0.1", "http://", "http://a b", "127.0.0.1:8080"])
def test_what_is_no_address_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(ClientError, match="is not the address of a service") as caught:
        Client(url, "k")
    assert caught.value.exit_code == EXIT_USAGE


async def test_a_service_that_hangs_up_is_away(stub: Stub) -> None:
    def hang_up(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    stub.on("GET", STATUS, hang_up)
    async with Client(stub.url, "k") as client:
        with pytest.raises(ClientError, match="connection lost") as caught:
            await client.status("r1")
    assert caught.value.exit_code == EXIT_UNREACHABLE
