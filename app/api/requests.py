"""I/O: connect requests watched: status, rows, the list of them; and cancelled."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from aiohttp import web

from app.api.answer import json_answer
from app.api.context import API, ASKED_FOR, CALLER, Api, base_url
from app.api.parameters import (
    PENDING,
    bad_parameter,
    parse_cursor,
    read_code,
    read_id,
    read_outcome,
    read_page,
    read_query,
    read_wait,
    render_cursor,
)
from app.enqueue import ring_report
from app.model import Outcome, RequestStatus
from app.report.payload import STATUS_PATH, render_request, render_row, render_status
from app.reports import ReportStoreError
from app.store.db import NotFound, Unavailable
from app.store.requests import (
    RequestRecord,
    cancel_request,
    count_requests,
    count_rows_with_code,
    get_request,
    list_requests,
    reopen_report,
)
from app.store.rows import list_row_results

CONNECT_PATH: Final = "/v1/email-accounts/connect"
QUEUED_SECONDS: Final = 1
RUNNING_SECONDS: Final = 2
LONG_SECONDS: Final = 5
MANY_ROWS: Final = 1000


async def find_request(http: web.Request) -> RequestRecord:
    """Return the request that the path names: as the guard found it, and, asked again, as it is now.

    Raises:
        NotFound: there is none in the caller's workspace.
    """
    if ASKED_FOR in http:
        found = http[ASKED_FOR]
        del http[ASKED_FOR]
        return found
    request_id = read_id(http.match_info["request_id"])
    if request_id is None:
        raise NotFound
    return await get_request(http.app[API].db, http[CALLER].workspace_id, request_id)


async def status(http: web.Request) -> web.Response:
    """Tell where a request is; with `wait`, when that has changed."""
    api = http.app[API]
    seconds = read_wait(read_query(http.query, {"wait"}))
    request = await find_request(http)
    is_news = http.if_none_match is not None and not _knows(http, _etag(request))
    if seconds and request.finished_at is None and not is_news:
        await api.watch.changed(request.id, request.version, request.state, seconds)
        request = await find_request(http)
    if await _has_lost_report(api, request):
        await have_written_again(api, request.id)
        request = await find_request(http)
    tag = _etag(request)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", **_retry_after(request)}
    if _knows(http, tag):
        return web.Response(status=304, headers=headers)
    return json_answer(await describe(api, request, base_url(http)), headers=headers)


async def describe(api: Api, request: RequestRecord, base: str) -> dict[str, object]:
    """Return the status body of a request."""
    url = await _report_url(api, request, base)
    return render_status(
        request,
        now=datetime.now(UTC),
        report_url=url,
        error_summary=await api.summaries.get(api.db, request),
        links=list_links(request.id, base),
    )


async def rows(http: web.Request) -> web.Response:
    """List row results in input order."""
    api = http.app[API]
    values = read_query(http.query, {"outcome", "code", "limit", "cursor", "offset"})
    outcome, code, page = read_outcome(values), read_code(values), read_page(values)
    request = await find_request(http)
    after = _read_row_cursor(page.cursor)
    found = await list_row_results(
        api.db, request.id, after_row=after, outcome=outcome, code=code, limit=page.limit + 1, offset=page.offset
    )
    shown = found[: page.limit]
    total = await count_rows_with_code(api.db, request.id, outcome, code) if code else count_outcome(request, outcome)
    payload = {
        "items": [render_row(row) for row in shown],
        "nextCursor": str(shown[-1].row) if len(found) > page.limit else None,
        "total": total,
    }
    return json_answer({"payload": payload})


async def list_all(http: web.Request) -> web.Response:
    """List the workspace's requests, newest first."""
    api = http.app[API]
    page = read_page(read_query(http.query, {"limit", "cursor", "offset"}))
    before = parse_cursor(page.cursor) if page.cursor else None
    workspace_id = http[CALLER].workspace_id
    found = await list_requests(api.db, workspace_id, before=before, limit=page.limit + 1, offset=page.offset)
    shown = found[: page.limit]
    payload = {
        "items": [render_request(request) for request in shown],
        "nextCursor": render_cursor(shown[-1].created_at, shown[-1].id) if len(found) > page.limit else None,
        "total": await count_requests(api.db, workspace_id),
    }
    return json_answer({"payload": payload})


async def cancel(http: web.Request) -> web.Response:
    """Take back the rows that nobody checks yet; those in flight end by themselves."""
    api = http.app[API]
    read_query(http.query, ())
    request = await find_request(http)
    _, is_over = await cancel_request(api.db, request.workspace_id, request.id)
    if is_over:
        await ring_report(api.queue, request.id)
    words = "The request is cancelled; checks in flight end by themselves."
    if not request.counts.pending:
        words = "All rows are over already; nothing was left to cancel."
    body = await describe(api, await find_request(http), base_url(http))
    return json_answer({"message": words, **body})


def list_links(request_id: UUID, base: str) -> dict[str, str]:
    """Return where all there is of a request is found."""
    here = f"{base}{CONNECT_PATH}/{request_id}"
    return {
        "self": f"{base}{STATUS_PATH}{request_id}",
        "rows": f"{here}/rows",
        "report": f"{here}/report.csv",
        "failedReport": f"{here}/report.csv?outcome=failed",
        "cancel": f"{here}/cancel",
        "retry": f"{here}/retry",
        "events": f"{base}{STATUS_PATH}{request_id}/events",
    }


def count_outcome(request: RequestRecord, outcome: str) -> int:
    """Return how many rows of a request have an outcome; empty: how many there are."""
    if not outcome:
        return request.counts.total
    if outcome == PENDING:
        return request.counts.pending
    counts = request.counts
    return {
        Outcome.CONNECTED: counts.connected,
        Outcome.FAILED: counts.failed,
        Outcome.INVALID: counts.invalid,
        Outcome.DUPLICATE: counts.duplicate,
        Outcome.SKIPPED: counts.skipped,
        Outcome.CANCELLED: counts.cancelled,
    }[Outcome(outcome)]


async def have_written_again(api: Api, request_id: UUID) -> None:
    """Have the report of a request that is done written once more."""
    await reopen_report(api.db, request_id)
    await ring_report(api.queue, request_id)


async def _has_lost_report(api: Api, request: RequestRecord) -> bool:
    """Tell whether the link would lead to nothing; of a folder we hear it when the link is opened."""
    if request.report_path is None or api.reports.is_local:
        return False
    return await api.reports.is_gone(request.report_path)


async def _report_url(api: Api, request: RequestRecord, base: str) -> str | None:
    if request.report_path is None:
        return None
    try:
        return await api.reports.link(request.report_path, base)
    except ReportStoreError as error:
        raise Unavailable(str(error)) from None


def _etag(request: RequestRecord) -> str:
    # The link in the answer changes with the hour (app/reports.py), so the tag does too.
    hour = datetime.now(UTC).strftime("%d%H") if request.finished_at is not None else "0"
    return f'W/"{request.version}.{hour}"'


def _knows(http: web.Request, tag: str) -> bool:
    """Tell whether the caller has the answer already (RFC 9110, section 13.1.2: weakly compared)."""
    return any(entry.value in {"*", tag.removeprefix("W/").strip('"')} for entry in http.if_none_match or ())


def _retry_after(request: RequestRecord) -> dict[str, str]:
    if request.finished_at is not None:
        return {}
    if request.status is RequestStatus.QUEUED:
        return {"Retry-After": str(QUEUED_SECONDS)}
    return {"Retry-After": str(LONG_SECONDS if request.counts.pending > MANY_ROWS else RUNNING_SECONDS)}


def _read_row_cursor(text: str) -> int:
    if text and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise bad_parameter("cursor", "cursor is none that this list gave out; begin again without it.")
    return int(text or 0)
