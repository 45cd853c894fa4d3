"""Who may ask: keys in both headers, scopes, other workspaces, and how often."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from app.api.context import Api
from app.model import Scope
from app.settings import Settings
from app.store.workspaces import insert_api_key, revoke_api_key
from tests.api.asking import ACCOUNTS, CONNECT, STATUS, Client, Service, ask, enter, row, send_raw, serving

KEYED = [
    ("POST", CONNECT),
    ("GET", CONNECT),
    ("GET", f"{STATUS}/{uuid4()}"),
    ("GET", f"{STATUS}/{uuid4()}/events"),
    ("GET", f"{CONNECT}/{uuid4()}/rows"),
    ("GET", f"{CONNECT}/{uuid4()}/report.csv"),
    ("POST", f"{CONNECT}/{uuid4()}/cancel"),
    ("POST", f"{CONNECT}/{uuid4()}/retry"),
    ("POST", f"{ACCOUNTS}/reconnect"),
    ("POST", f"{ACCOUNTS}/smtp-imap/connect"),
    ("GET", ACCOUNTS),
    ("GET", f"{ACCOUNTS}/{uuid4()}"),
    ("DELETE", f"{ACCOUNTS}/{uuid4()}"),
    ("GET", "/v1/diagnoses"),
    ("GET", "/v1/diagnoses/ok"),
    ("POST", "/v1/diagnoses/explain"),
]


@pytest.mark.parametrize(("method", "path"), KEYED)
async def test_without_a_key_nothing_is_told(running: tuple[Api, Client], method: str, path: str) -> None:
    answer = await ask(running[1], method, path)
    assert (answer.status, answer.problem) == (401, "no-key")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert "x-api-key" in answer.json["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": "KEY"},
        {"X-API-Key": "  KEY "},
        {"Authorization": "Bearer KEY"},
        {"authorization": "bearer   KEY"},
        {"x-api-key": "KEY", "Authorization": "Bearer bc_live_other"},
    ],
)
async def test_both_headers_are_keys(running: tuple[Api, Client], service: Service, headers: dict[str, str]) -> None:
    sent = {name: value.replace("KEY", service.key) for name, value in headers.items()}
    assert (await ask(running[1], "GET", CONNECT, headers=sent)).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": "bc_live_nobody"},
        {"Authorization": "Bearer bc_live_nobody"},
        {"x-api-key": "x" * 4000},
        {"x-api-key": "clé"},
    ],
)
async def test_a_key_that_nobody_has_is_refused(running: tuple[Api, Client], headers: dict[str, str]) -> None:
    answer = await ask(running[1], "GET", CONNECT, headers=headers)
    assert (answer.status, answer.problem) == (401, "bad-key")
    assert next(iter(headers.values())) not in answer.text


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Token abc"])
async def test_other_schemes_are_no_key(running: tuple[Api, Client], header: str) -> None:
    answer = await ask(running[1], "GET", CONNECT, headers={"Authorization": header})
    assert (answer.status, answer.problem) == (401, "no-key")


async def test_bytes_that_are_no_text_are_no_key(running: tuple[Api, Client]) -> None:
    call = b"GET " + CONNECT.encode() + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-api-key: \xff\xfe\r\n\r\n"
    assert (await send_raw(running[1], call)).startswith(b"HTTP/1.1 401 ")


async def test_a_key_that_was_revoked_or_has_expired_is_refused(service: Service) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    expired, _ = await insert_api_key(service.api.db, service.workspace_id, [Scope.READ], expires_at=past)
    revoked, key_id = await insert_api_key(service.api.db, service.workspace_id, [Scope.READ])
    assert (await replace(service, key=revoked).get(CONNECT)).status == 200
    await revoke_api_key(service.api.db, str(key_id))
    for key in (expired, revoked):
        answer = await replace(service, key=key).get(CONNECT)
        assert (answer.status, answer.problem) == (401, "bad-key")


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        (Scope.READ, "POST", CONNECT),
        (Scope.WRITE, "POST", CONNECT),
        (Scope.CONNECT, "GET", CONNECT),
        (Scope.WRITE, "GET", ACCOUNTS),
        (Scope.READ, "POST", f"{ACCOUNTS}/smtp-imap/connect"),
        (Scope.READ, "DELETE", f"{ACCOUNTS}/{uuid4()}"),
        (Scope.CONNECT, "DELETE", f"{ACCOUNTS}/{uuid4()}"),
    ],
)
async def test_a_key_without_the_scope_is_told_which_one_it_lacks(
    service: Service, scope: Scope, method: str, path: str
) -> None:
    answer = await (await service.with_scopes(scope)).ask(method, path)
    assert (answer.status, answer.problem) == (403, "scope")
    assert scope.value in answer.json["detail"]


async def test_admin_may_do_everything(service: Service) -> None:
    admin = await service.with_scopes(Scope.ADMIN)
    assert (await admin.connect(row())).status == 200
    assert (await admin.get(ACCOUNTS)).status == 200


async def test_somebody_elses_id_is_not_there(service: Service, stranger: Service) -> None:
    request_id = await service.connected(row())
    for method, path in [
        ("GET", f"{STATUS}/{request_id}"),
        ("GET", f"{STATUS}/{request_id}/events"),
        ("GET", f"{CONNECT}/{request_id}/rows"),
        ("GET", f"{CONNECT}/{request_id}/report.csv"),
        ("POST", f"{CONNECT}/{request_id}/cancel"),
        ("POST", f"{CONNECT}/{request_id}/retry"),
    ]:
        theirs = await stranger.ask(method, path)
        nobodys = await stranger.ask(method, path.replace(request_id, str(uuid4())))
        assert (theirs.status, theirs.problem) == (404, "not-found")
        assert theirs.json["detail"] == nobodys.json["detail"]
    assert (await service.get(f"{STATUS}/{request_id}")).payload["counts"]["pending"] == 1
    assert (await stranger.get(CONNECT)).payload["total"] == 0


@pytest.mark.parametrize("text", ["1", "not-an-id", "%00", "..", "{}", "é"])
async def test_what_cannot_be_an_id_is_not_there(service: Service, text: str) -> None:
    for path in (f"{CONNECT}/{text}/rows", f"{STATUS}/{text}", f"{ACCOUNTS}/{text}"):
        assert (await service.get(path)).status == 404
    assert (await service.ask("DELETE", f"{ACCOUNTS}/{text}")).status == 404


async def test_every_answer_to_a_key_tells_how_much_it_may_still_ask(service: Service) -> None:
    first, second = await service.get(CONNECT), await service.get(f"{STATUS}/{uuid4()}")
    assert first.headers["RateLimit-Policy"] == '"key";q=100000;w=60'
    counts = [int(answer.headers["RateLimit"].partition("r=")[2].partition(";")[0]) for answer in (first, second)]
    left = [int(answer.headers["RateLimit"].partition("t=")[2]) for answer in (first, second)]
    assert 0 < left[0] <= 60
    if left[1] <= left[0]:  # else a minute ended in between
        assert counts[0] - counts[1] == 1


async def test_too_many_calls_are_refused_and_told_when_to_come_back(settings: Settings) -> None:
    async with serving(replace(settings, rate_limit=3)) as running:
        service = await enter(*running)
        answers = [await service.get(CONNECT) for _ in range(4)]
        if answers[-1].status == 200:  # a minute ended in between: the next one is whole
            answers = [await service.get(CONNECT) for _ in range(4)]
        assert answers[0].status == 200
        last = answers[-1]
        assert (last.status, last.problem) == (429, "rate-limit")
        assert 0 < int(last.headers["Retry-After"]) <= 60
        assert '"key";r=0;' in last.headers["RateLimit"]
        assert (await (await service.with_scopes(Scope.READ)).get(CONNECT)).status == 200


async def test_calls_are_counted_for_all_processes_together(settings: Settings) -> None:
    async with serving(settings) as one, serving(settings) as other:
        service = await enter(*one)
        first = await service.get(CONNECT)
        second = await Service(other[0], other[1], service.workspace_id, service.key).get(CONNECT)
        left = [int(answer.headers["RateLimit"].partition("t=")[2]) for answer in (first, second)]
        if left[1] <= left[0]:  # else a minute ended in between
            assert "r=99999;" in first.headers["RateLimit"]
            assert "r=99998;" in second.headers["RateLimit"]


async def test_a_workspace_may_not_have_more_rows_waiting_than_allowed(settings: Settings) -> None:
    async with serving(replace(settings, max_queued_rows=3)) as running:
        service = await enter(*running)
        await service.connected(row("a"), row("b"))
        answer = await service.connect(row("c"), row("d"))
        assert (answer.status, answer.problem) == (429, "queue-full")
        assert (answer.json["limit"], answer.json["queued"]) == (3, 2)
        assert answer.headers["Retry-After"]
        assert (await service.connect(row("c"))).status == 200
