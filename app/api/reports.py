"""I/O: reports as CSV: at any time from PostgreSQL, and the finished one from the report store by a signed link."""

import codecs
import time
from collections.abc import AsyncIterator, Mapping
from typing import Final
from uuid import UUID

import structlog
from aiohttp import web

from app.api.context import API
from app.api.parameters import read_outcome, read_query, read_switch
from app.api.problem import Problem
from app.api.requests import find_request, have_written_again
from app.report.rows import render_header, render_rows, report_file_name
from app.reports import CONTENT_TYPE, ReportStoreError
from app.seal import is_link_valid
from app.store.db import NotFound, StoreError, Unavailable
from app.store.lines import iterate_report_lines
from app.store.requests import RequestRecord, get_request_for_job

_LOG: Final = structlog.get_logger()


async def report(http: web.Request) -> web.StreamResponse:
    """Send what is known so far, filtered, under the report's own header."""
    api = http.app[API]
    values = read_query(http.query, {"outcome", "bom"})
    outcome, mark = read_outcome(values), _read_mark(values)
    request = await find_request(http)
    name = report_file_name(request.id, request.closed_at or request.created_at)
    return await _send(http, name, _blocks(api.db, request, outcome), mark=mark)


async def signed_report(http: web.Request) -> web.StreamResponse:
    """Send a finished report to whoever holds a link that we signed."""
    api = http.app[API]
    path = http.match_info["path"]
    expires, signature = http.query.get("expires", ""), http.query.get("signature", "")
    is_number = expires.isascii() and expires.isdigit() and len(expires) < 15
    if not is_number or not is_link_valid(path, int(expires), signature, api.reports.link_key, time.time()):
        words = "This link has expired or is not whole. The status of the request gives a new one: reportURL."
        raise Problem(403, "link", words)
    name, mark = path.rpartition("/")[2], _read_mark(http.query)
    try:
        size, blocks = await api.reports.stream(path)
    except ReportStoreError as error:
        if not await api.reports.is_gone(path):
            raise Unavailable(str(error)) from None  # it is there, and cannot be read just now
        await _have_written_again(http, name)
        words = "The report's file is gone; it is being written again."
        raise Problem(503, "report-gone", words, headers={"Retry-After": "5"}) from None
    return await _send(http, name, blocks, size, mark=mark)


def _read_mark(values: Mapping[str, str]) -> bytes:
    """Return what goes before the header: nothing, or, where the call says bom=true, what tells Excel of UTF-8."""
    return codecs.BOM_UTF8 if read_switch(values, "bom", default=False) else b""


async def _blocks(db: object, request: RequestRecord, outcome: str) -> AsyncIterator[bytes]:
    head = render_header(request.columns)
    async for rows in iterate_report_lines(db, request.id, outcome=outcome, with_extra=bool(request.columns)):
        yield (head + render_rows(rows, request.columns)).encode()
        head = ""
    if head:
        yield head.encode()


async def _send(
    http: web.Request, name: str, blocks: AsyncIterator[bytes], size: int | None = None, *, mark: bytes = b""
) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={
            "Content-Type": CONTENT_TYPE,
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "private, no-store",
        }
    )
    if size is not None:
        response.content_length = len(mark) + size
    # What can fail before the first byte is told as a problem, not as a file that breaks off.
    try:
        first = await anext(blocks, b"")
    except ReportStoreError as error:
        raise Unavailable(str(error)) from None
    await response.prepare(http)
    if http.method == "HEAD":
        return response
    try:
        await response.write(mark + first)
        async for block in blocks:
            await response.write(block)
        await response.write_eof()
    except (StoreError, ReportStoreError) as error:
        _LOG.warning("report.broken_off", report=name, error=str(error))
        # A file that ends early must not look whole: no last chunk, and the connection with it.
        if http.transport is not None:
            http.transport.abort()
    return response


async def _have_written_again(http: web.Request, name: str) -> None:
    """Ask for a report once more; its name ends in the request's id and a time.

    Raises:
        NotFound: the request was deleted, and its report with it.
    """
    try:
        request_id = UUID(name.rpartition("_")[0].rpartition("_")[2])
    except ValueError:
        raise NotFound from None
    await get_request_for_job(http.app[API].db, request_id)
    await have_written_again(http.app[API], request_id)
