"""Reports in a real S3-compatible bucket: written, opened by their link alone, missed, and waited for."""

import signal
import time

import aiohttp
from yarl import URL

from app.api.requests import CONNECT_PATH
from app.store.db import connect
from tests.real.bucket import KEY_ID, Bucket
from tests.real.line import until
from tests.reports.conftest import ROWS, Service

STOP_SECONDS = 20.0


async def ask(url: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Open a link with no key at all."""
    async with aiohttp.ClientSession() as session, session.request(method, URL(url, encoded=True)) as answer:
        return answer.status, dict(answer.headers), await answer.read()


async def test_a_report_is_in_the_bucket_and_its_link_opens_without_a_key(service: Service) -> None:
    request_id, link = await service.finish("whole")
    assert link.startswith(f"{service.bucket.endpoint}/reports/some/prefix/")
    status, headers, body = await ask(link)
    assert status == 200
    assert headers["Content-Type"] == "text/csv; charset=utf-8"
    name = URL(link).name
    assert name.startswith(f"Email-Account_Bulk_Report_{request_id}_")
    assert headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert body.decode() == await service.caller.get_text(f"{CONNECT_PATH}/{request_id}/report.csv")
    lines = await service.caller.open_report(link)
    assert [line["outcome"] for line in lines] == ["failed" if n % 4 == 0 else "connected" for n in range(1, ROWS + 1)]


async def test_a_link_that_was_changed_does_not_open(service: Service) -> None:
    _, link = await service.finish("changed")
    _, other = await service.finish("other")
    address, _, query = link.partition("?")
    digit = "0" if link[-1] != "0" else "1"
    for changed in (
        address,
        link[:-1] + digit,
        link.replace("X-Amz-Expires=604800", "X-Amz-Expires=604799"),
        f"{other.partition('?')[0]}?{query}",
        f"{address.rpartition('/')[0]}/?{query}",
    ):
        assert changed != link
        assert (await ask(changed))[0] == 403
    assert (await ask(link, "DELETE"))[0] == 403
    assert (await ask(link))[0] == 200


async def test_a_report_that_is_missing_in_the_bucket_is_written_again(service: Service) -> None:
    request_id, link = await service.finish("missing")
    before = (await ask(link))[2]
    for path in service.bucket.list_objects():
        path.unlink()
    assert (await ask(link))[0] == 404
    status = await service.caller.status(request_id)
    assert (status["isCompleted"], status["reportURL"]) == (False, None)
    again = (await service.caller.wait(request_id, 30))["reportURL"]
    assert (await ask(again))[2] == before


async def test_a_report_waits_for_a_bucket_that_is_away_and_status_does_not(service: Service) -> None:
    request_id, link = await service.finish("before")
    service.bucket.stop()
    waiting = await service.post("away")

    async def have_rows_ended() -> bool:
        return bool((await service.caller.status(waiting))["counts"]["pending"] == 0)

    await until(have_rows_ended)
    assert (await service.caller.status(waiting))["isCompleted"] is False
    began = time.monotonic()
    found = await service.caller.status(request_id)
    assert time.monotonic() - began < 5
    assert URL(found["reportURL"]).path == URL(link).path
    service.bucket.start()
    found = (await service.caller.wait(waiting, 60))["reportURL"]
    assert len(await service.caller.open_report(found)) == ROWS


async def test_a_worker_told_to_stop_while_the_bucket_hangs_ends_in_time(service: Service) -> None:
    service.bucket.pause()
    try:
        waiting = await service.post("hangs")
        row = "SELECT state FROM requests WHERE id = $1"
        link = await connect(service.line.database_url)

        async def is_reporting() -> bool:
            return bool(await link.fetchval(row, waiting) == "reporting")

        await until(is_reporting)
        code, seconds = await service.line.end("worker", 40)
        assert await is_reporting()
        await link.close()
    finally:
        service.bucket.pause(signal.SIGCONT)
    assert (code, seconds < STOP_SECONDS) == (0, True)
    await service.line.start_worker("worker")
    found = (await service.caller.wait(waiting, 60))["reportURL"]
    assert len(await service.caller.open_report(found)) == ROWS


async def test_a_worker_that_has_just_written_a_report_ends_well(service: Service) -> None:
    for number in range(3):
        await service.finish(f"last{number}")
        assert (await service.line.end("worker"))[0] == 0
        await service.line.start_worker("worker")


async def test_credentials_are_in_no_log_and_no_answer(service: Service, bucket: Bucket) -> None:
    """Whatever went wrong in the tests before this one, and with credentials that are refused from now on."""
    line, secret = service.line, bucket.secret
    bucket.stop()
    bucket.secret = f"another{secret}"
    bucket.start()
    waiting = await service.post("refused")
    await until(lambda: is_in_log(service, "report.not_written"), 60)
    assert (await service.caller.status(waiting))["isCompleted"] is False
    line.environ["AWS_SECRET_ACCESS_KEY"] = bucket.secret
    await line.end("worker")
    await line.start_worker("worker")
    await service.caller.wait(waiting, 60)
    said = line.words("worker") + line.words("api") + "".join(service.caller.answers)
    for text in (secret, bucket.secret):
        assert text not in said
    words = line.words("worker") + line.words("api")
    assert "X-Amz-Signature" not in words
    assert KEY_ID not in words


async def is_in_log(service: Service, words: str) -> bool:
    return words in service.line.words("worker")
