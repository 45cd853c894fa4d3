"""Errors: one shape for all of them, ids that can be followed, and nothing of our insides."""

from uuid import uuid4

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from app.api.context import Api
from app.api.main import make_app
from tests.api.asking import CONNECT, STATUS, Client, Service, ask, row, send_raw


async def test_a_problem_says_all_that_rfc_9457_wants_and_what_scripts_print(service: Service) -> None:
    answer = await service.get(f"{STATUS}/nothing", headers={"X-Request-ID": "trace-7"})
    assert answer.kind == "application/problem+json"
    assert answer.json == {
        "type": "urn:bulk-connect:problem:not-found",
        "title": "Not Found",
        "status": 404,
        "detail": "There is nothing with this id in your workspace; it may have been deleted.",
        "message": "There is nothing with this id in your workspace; it may have been deleted.",
        "instance": f"{STATUS}/nothing",
        "requestTraceId": "trace-7",
    }


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nothing", "/v1/email-accounts/", "/v2/email-accounts", "//"])
async def test_unknown_paths_are_problems_too(running: tuple[Api, Client], path: str) -> None:
    answer = await ask(running[1], "GET", path, headers={"Accept": "text/html"})
    assert (answer.status, answer.problem) == (404, "no-such-path")


async def test_a_wrong_method_is_told_the_right_ones(running: tuple[Api, Client]) -> None:
    answer = await ask(running[1], "DELETE", f"{CONNECT}/{uuid4()}/cancel")
    assert (answer.status, answer.problem) == (405, "method")
    assert answer.headers["Allow"] == "POST"
    assert "POST" in answer.json["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", CONNECT, "GET, POST"),
        ("DELETE", CONNECT, "GET, POST"),
        ("GET", "/v1/email-accounts/reconnect", "POST"),
        ("PUT", "/v1/diagnoses/explain", "POST"),
        ("PUT", "/v1/diagnoses/ok", "GET"),
        ("PUT", "/v1/email-accounts/connected", "DELETE, GET"),
    ],
)
async def test_only_what_is_served_at_a_path_is_allowed_there(
    running: tuple[Api, Client], method: str, path: str, allowed: str
) -> None:
    answer = await ask(running[1], method, path)
    assert (answer.status, answer.headers["Allow"]) == (405, allowed)


async def test_an_id_that_is_sent_is_echoed(service: Service) -> None:
    answer = await service.get(CONNECT, headers={"X-Request-ID": "job-2026.11/21:a_b+c=="})
    assert answer.headers["X-Request-ID"] == "job-2026.11/21:a_b+c=="


@pytest.mark.parametrize("sent", ["", "two words", "x" * 129, "é", "semi;colon"])
async def test_an_id_that_is_unfit_is_replaced(service: Service, sent: str) -> None:
    answer = await service.get(CONNECT, headers={"X-Request-ID": sent})
    assert len(answer.headers["X-Request-ID"]) == 32


async def test_every_call_gets_an_id_of_its_own(service: Service) -> None:
    first, second = await service.get(CONNECT), await service.get(CONNECT)
    assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]


async def test_answers_are_not_kept_by_proxies_and_not_guessed_at(service: Service) -> None:
    answer = await service.get(CONNECT)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Server" not in answer.headers


@pytest.mark.parametrize(
    "line",
    [
        b"GET /\xff\xfe HTTP/1.1",
        b"GET /v1/email-accounts/connect/status/\xc3\x28 HTTP/1.1",
        b"GET /%ff?%ff=%fe HTTP/1.1",
        b"GET /v1/email-accounts/connect?\xff=1 HTTP/1.1",
    ],
)
async def test_paths_that_are_no_text_are_answered(service: Service, line: bytes) -> None:
    head = line + b"\r\nHost: a\r\nConnection: close\r\nx-api-key: " + service.key.encode() + b"\r\n\r\n"
    said = await send_raw(service.client, head)
    status, body = int(said.split(b" ", 2)[1]), said.partition(b"\r\n\r\n")[2]
    assert status in {400, 404}
    if b"application/problem+json" in said:
        assert msgspec.json.decode(body)["status"] == status


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00", b"EHLO mail.example.com\r\n\r\n", b"GET\r\n\r\n"])
async def test_what_is_no_http_gets_no_page_and_no_insides(running: tuple[Api, Client], garbage: bytes) -> None:
    said = await send_raw(running[1], garbage)
    assert b"<html" not in said.lower()
    assert b"Traceback" not in said


async def test_a_defect_tells_nothing_of_its_insides(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def break_down(*_: object) -> None:
        raise ZeroDivisionError("secret-horse")

    monkeypatch.setattr("app.api.requests.count_requests", break_down)
    answer = await service.get(CONNECT, headers={"X-Request-ID": "trace-9"})
    assert (answer.status, answer.problem) == (500, "internal")
    assert "secret-horse" not in answer.text
    assert "ZeroDivision" not in answer.text
    assert "trace-9" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["%00", "%ED%A0%80", "%F0%9F%90%8E", "'; DROP TABLE requests; --", "%25", "_"])
@pytest.mark.parametrize("name", ["search", "cursor", "status", "limit", "offset"])
async def test_any_text_may_stand_in_a_parameter(service: Service, name: str, text: str) -> None:
    answer = await service.get(f"/v1/email-accounts?{name}={text}")
    assert answer.status in {200, 400}


async def test_names_with_a_nul_cost_their_row_and_no_more(service: Service) -> None:
    answer = await service.connect(row("a", externalId="x\0y"), row("b", **{"col\0umn": "v\0"}), row("c"))
    assert answer.status == 200
    assert answer.payload["total"] == 3


async def test_text_that_postgresql_cannot_hold_costs_its_row_and_no_more(service: Service) -> None:
    body = (
        b'[{"smtpEmailAddress":"a@example.com","smtpPassword":"x","smtpHost":"smtp.example.com","metadata":'
        b'{"a":"\\u0000","b\\u0000":1},"tags":["\\ud83d\\udc0e","\\u0000"],"note":"\\u0000","imap":false}]'
    )
    answer = await service.ask("POST", CONNECT, data=body, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.payload["total"]) == (200, 1)


async def test_a_body_in_broken_chunks_is_the_callers_fault(service: Service) -> None:
    head = f"POST {CONNECT} HTTP/1.1\r\nHost: a\r\nx-api-key: {service.key}\r\nConnection: close\r\n"
    head += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    parts = (b"5\r\n[    \r\n", b"zz\r\nnonsense\r\n")
    said = await send_raw(service.client, head.encode(), *parts)
    assert said[8:13] == b" 400 "
    assert b"<html" not in said
    assert b"Traceback" not in said


async def test_an_expectation_that_nobody_can_meet_is_refused(service: Service) -> None:
    answer = f"GET {CONNECT} HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\nConnection: close\r\n\r\n"
    said = await send_raw(service.client, answer.encode())
    assert said.startswith(b"HTTP/1.1 417 ")
    assert b"X-Request-ID: \r\n" not in said


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (web.HTTPGone(reason="It was here once", text="<html>"), 410, "It was here once."),
        (web.RequestPayloadError(), 400, "The body cannot be read: it is cut off, or not encoded as it says."),
    ],
)
async def test_whatever_else_aiohttp_refuses_is_a_problem_too(
    running: tuple[Api, Client], error: Exception, status: int, detail: str
) -> None:
    async def refuse(_http: web.Request) -> web.Response:
        raise error

    app = make_app(running[0])
    app.router.add_get("/once", refuse)
    async with TestClient(TestServer(app)) as client:
        answer = await ask(client, "GET", "/once")
        assert (answer.status, answer.json["detail"]) == (status, detail)
