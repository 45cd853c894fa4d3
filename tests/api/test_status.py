"""The status of a request: its shape, what it costs to poll it, and waiting for news."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from app.report.payload import STATUS_PATH
from app.settings import Settings
from jobs.write_report import write_report
from tests.api.asking import CONNECT, STATUS, Service, enter, row, serving


async def end_without_checks(service: Service, request_id: str) -> None:
    """Cancel what waits and write the report."""
    assert (await service.post(f"{CONNECT}/{request_id}/cancel")).status == 200
    assert await write_report(service.api.db, service.api.reports, UUID(request_id))


def seconds_since(moment: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()


async def test_a_new_request_tells_all_that_is_promised(service: Service) -> None:
    request_id = await service.connected(row("a"), row("a"), row("b", smtpPort=0), name="Spring list")
    status = (await service.get(f"{STATUS}/{request_id}")).payload
    assert seconds_since(status.pop("createdAt")) < 60
    assert seconds_since(status.pop("expiresAt")) < -29 * 86400
    links = status.pop("links")
    assert status == {
        "requestId": request_id,
        "name": "Spring list",
        "kind": "connect",
        "retryOf": None,
        "status": "queued",
        "isCompleted": False,
        "reportProblem": None,
        "reportURL": None,
        "startedAt": None,
        "finishedAt": None,
        "progress": 66,
        "etaSeconds": None,
        "counts": {
            "total": 3,
            "pending": 1,
            "connected": 0,
            "failed": 0,
            "invalid": 1,
            "duplicate": 1,
            "skipped": 0,
            "cancelled": 0,
        },
        "errorSummary": [],
    }
    assert links["self"].endswith(f"{STATUS_PATH}{request_id}")


async def test_every_link_leads_somewhere(service: Service) -> None:
    request_id = await service.connected(row())
    base = str(service.client.make_url("")).rstrip("/")
    links = (await service.get(f"{STATUS}/{request_id}")).payload["links"]
    for name, link in links.items():
        method = "POST" if name in {"cancel", "retry"} else "GET"
        if name != "events":
            assert (await service.ask(method, link.removeprefix(base))).status in {200, 409}, name


async def test_links_bear_the_public_url(settings: Settings) -> None:
    async with serving(replace(settings, public_url="https://connect.example.com/mail")) as running:
        service = await enter(*running)
        answer = await service.connect(row())
        request_id = answer.payload["requestId"]
        assert answer.headers["Location"] == f"/mail{STATUS_PATH}{request_id}"
        links = (await service.get(f"{STATUS}/{request_id}")).payload["links"]
        assert links["self"] == f"https://connect.example.com/mail{STATUS_PATH}{request_id}"


async def test_the_end_is_told_once_the_report_is_written(service: Service) -> None:
    request_id = await service.connected(row("a"), row("b", smtpPort=0))
    assert (await service.post(f"{CONNECT}/{request_id}/cancel")).status == 200
    before = (await service.get(f"{STATUS}/{request_id}")).payload
    assert (before["counts"]["pending"], before["isCompleted"], before["reportURL"]) == (0, False, None)
    assert before["progress"] == 99
    await write_report(service.api.db, service.api.reports, UUID(request_id))
    after = (await service.get(f"{STATUS}/{request_id}")).payload
    assert (after["isCompleted"], after["status"], after["progress"]) == (True, "cancelled", 100)
    assert after["reportURL"].startswith(str(service.client.make_url("/v1/reports/")))
    assert seconds_since(after["finishedAt"]) < 60
    assert after["etaSeconds"] == 0


async def test_a_poller_is_told_when_to_come_back_until_it_is_over(service: Service) -> None:
    request_id = await service.connected(row())
    queued = await service.get(f"{STATUS}/{request_id}")
    assert queued.headers["Retry-After"] == "1"
    await service.api.db.execute("UPDATE requests SET state = 'processing' WHERE id = $1", UUID(request_id))
    assert (await service.get(f"{STATUS}/{request_id}")).headers["Retry-After"] == "2"
    await service.api.db.execute(
        "UPDATE requests SET total_count = 5000, pending_count = 5000 WHERE id = $1", UUID(request_id)
    )
    assert (await service.get(f"{STATUS}/{request_id}")).headers["Retry-After"] == "5"


async def test_nobody_is_told_to_come_back_after_the_end(service: Service) -> None:
    request_id = await service.connected(row())
    await end_without_checks(service, request_id)
    assert "Retry-After" not in (await service.get(f"{STATUS}/{request_id}")).headers


async def test_what_has_not_changed_is_not_sent_again(service: Service) -> None:
    request_id = await service.connected(row())
    path = f"{STATUS}/{request_id}"
    tag = (await service.get(path)).headers["ETag"]
    again = await service.get(path, headers={"If-None-Match": tag})
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
    assert again.headers["Retry-After"]
    assert again.headers["Cache-Control"] == "private, no-cache"
    await service.post(f"{CONNECT}/{request_id}/cancel")
    changed = await service.get(path, headers={"If-None-Match": tag})
    assert changed.status == 200
    assert changed.headers["ETag"] != tag


@pytest.mark.parametrize("write", ['"other", {}', "*", '{} , W/"1.0"'])
async def test_a_list_of_tags_counts_as_well(service: Service, write: str) -> None:
    path = f"{STATUS}/{await service.connected(row())}"
    tag = (await service.get(path)).headers["ETag"]
    assert (await service.get(path, headers={"If-None-Match": write.format(tag)})).status == 304


async def test_a_finished_request_has_one_tag_too(service: Service) -> None:
    request_id = await service.connected(row())
    await end_without_checks(service, request_id)
    path = f"{STATUS}/{request_id}"
    tags = {(await service.get(path)).headers["ETag"] for _ in range(3)}
    assert len(tags) <= 2  # two where an hour ended in between: the link in the answer is another one then
    assert (await service.get(path, headers={"If-None-Match": (await service.get(path)).headers["ETag"]})).status == 304


async def test_waiting_ends_as_soon_as_something_changes(service: Service) -> None:
    request_id = await service.connected(row())
    path = f"{STATUS}/{request_id}"
    tag = (await service.get(path)).headers["ETag"]
    waiting = [
        asyncio.create_task(service.get(f"{path}?wait=30", headers={"If-None-Match": tag})),
        asyncio.create_task(service.get(f"{path}?wait=30")),
    ]
    await asyncio.sleep(0.5)
    assert not any(task.done() for task in waiting)
    began = time.monotonic()
    await service.post(f"{CONNECT}/{request_id}/cancel")
    for answer in await asyncio.gather(*waiting):
        assert answer.status == 200
        assert answer.payload["counts"]["cancelled"] == 1
    assert time.monotonic() - began < 2


async def test_counts_that_change_are_told_within_seconds(service: Service) -> None:
    request_id = await service.connected(row("a"), row("b"))
    waiting = asyncio.create_task(service.get(f"{STATUS}/{request_id}?wait=30"))
    await asyncio.sleep(0.2)
    await service.api.db.execute("UPDATE requests SET version = version + 1 WHERE id = $1", UUID(request_id))
    async with asyncio.timeout(10):
        assert (await waiting).status == 200


async def test_waiting_ends_when_its_time_is_over(service: Service) -> None:
    path = f"{STATUS}/{await service.connected(row())}"
    tag = (await service.get(path)).headers["ETag"]
    began = time.monotonic()
    assert (await service.get(f"{path}?wait=0.4")).status == 200
    assert (await service.get(f"{path}?wait=0.4", headers={"If-None-Match": tag})).status == 304
    assert 0.8 <= time.monotonic() - began < 5


async def test_who_knows_an_older_state_does_not_wait(service: Service) -> None:
    path = f"{STATUS}/{await service.connected(row())}"
    async with asyncio.timeout(5):
        assert (await service.get(f"{path}?wait=60", headers={"If-None-Match": 'W/"0.0"'})).status == 200


async def test_nobody_waits_for_what_is_over(service: Service) -> None:
    request_id = await service.connected(row())
    await end_without_checks(service, request_id)
    async with asyncio.timeout(5):
        assert (await service.get(f"{STATUS}/{request_id}?wait=60")).payload["isCompleted"]


async def test_a_request_that_goes_while_somebody_waits_is_not_there(service: Service) -> None:
    request_id = await service.connected(row())
    waiting = asyncio.create_task(service.get(f"{STATUS}/{request_id}?wait=30"))
    await asyncio.sleep(0.2)
    await service.api.db.execute("DELETE FROM requests WHERE id = $1", UUID(request_id))
    async with asyncio.timeout(10):
        assert (await waiting).status == 404


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf", "1e999"])
async def test_a_wait_that_is_no_time_is_refused(service: Service, text: str) -> None:
    answer = await service.get(f"{STATUS}/{await service.connected(row())}?wait={text}")
    assert (answer.status, answer.problem) == (400, "parameter")


async def test_unknown_parameters_are_refused(service: Service) -> None:
    request_id = await service.connected(row())
    for method, path in (
        ("GET", f"{STATUS}/{request_id}"),
        ("GET", f"{STATUS}/{request_id}/events"),
        ("GET", f"{CONNECT}/{request_id}/rows"),
        ("GET", f"{CONNECT}/{request_id}/report.csv"),
        ("POST", f"{CONNECT}/{request_id}/cancel"),
        ("POST", f"{CONNECT}/{request_id}/retry"),
        ("GET", CONNECT),
        ("GET", "/v1/email-accounts"),
        ("GET", f"/v1/email-accounts/{request_id}"),
        ("DELETE", f"/v1/email-accounts/{request_id}"),
        ("GET", "/v1/diagnoses"),
        ("GET", "/v1/diagnoses/ok"),
        ("POST", "/v1/diagnoses/explain"),
    ):
        answer = await service.ask(method, f"{path}?colour=blue")
        assert (answer.status, answer.problem) == (400, "parameter"), path
