"""I/O: rows become a request: stored whole in one transaction with its Idempotency-Key, then the bell is rung."""

import contextlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from aiohttp import web

from app.api.answer import json_answer
from app.api.context import API, CALLER, Api, locate_status
from app.api.idempotency import REPLAYED, key_busy, key_mismatch
from app.api.problem import Problem, faults_of
from app.enqueue import ring_drain, ring_report
from app.model import REJECTIONS_SHOWN, Options, Row
from app.report.payload import render_accepted
from app.seal import new_data_key
from app.store.db import new_id, transaction
from app.store.idempotency import (
    IdempotencyKey,
    KeyBusy,
    KeyMismatch,
    Remembered,
    claim_key,
    recall_key,
    record_key,
)
from app.store.incoming import Tally, insert_request
from app.store.requests import sum_queued_rows

MANY_ROWS: Final = 1000

Render = Callable[[UUID, Tally], bytes]


@dataclass(frozen=True, slots=True)
class Order:
    """What a call asks to be stored. `kind`: connect, retry, reconnect or single; `parent_id`: what a retry retries.

    The rows, `count` of them, come in slices, which may be read only when they are stored; `columns` is complete then.
    """

    options: Options
    slices: Iterable[Sequence[Row]]
    count: int
    columns: Collection[str]
    key: IdempotencyKey | None
    kind: str = "connect"
    parent_id: UUID | None = None


async def accept_order(http: web.Request, order: Order) -> web.Response:
    """Store an order and answer as connect does. When it is answered, the request is stored durably."""

    def render(request_id: UUID, tally: Tally) -> bytes:
        return msgspec.json.encode(render_accepted(request_id, tally.counts(), tally.rejections, order.columns))

    made, is_replayed = await store_order(http.app[API], http[CALLER].workspace_id, order, render)
    return _answer(http, made, is_replayed)


async def answer_again(http: web.Request, key: IdempotencyKey | None) -> web.Response | None:
    """Return the first answer to a call with this key; None: it is new. For calls that ask more than their body.

    What they ask of may have changed since: secrets destroyed, a request deleted.

    Raises:
        Problem: the key came with another body (422).
    """
    try:
        made = await recall_key(http.app[API].db, key) if key is not None else None
    except KeyMismatch:
        raise key_mismatch() from None
    return _answer(http, made, is_replayed=True) if made is not None else None


async def store_order(api: Api, workspace_id: UUID, order: Order, render: Render) -> tuple[Remembered, bool]:
    """Store an order once. Returns what was made and answered, and whether that was before, under the same key.

    Raises:
        Problem: the workspace has too many rows waiting (429), the key is busy (409) or came with another body (422).
    """
    try:
        async with _turn(api, order), transaction(api.db) as link:
            before = await claim_key(link, order.key) if order.key is not None else None
            if before is not None:
                return before, True
            made, tally = await _insert(api, link, workspace_id, order, render)
    except KeyBusy:
        raise key_busy() from None
    except KeyMismatch:
        raise key_mismatch() from None
    api.metrics.rows_accepted.inc(order.count)
    ring = ring_drain if tally.counts().pending else ring_report
    await ring(api.queue, made.request_id)
    return made, False


def _turn(api: Api, order: Order) -> contextlib.AbstractAsyncContextManager[object]:
    """Return what an order of many rows waits for: such take seconds, and must not hold all connections at once."""
    return api.storing_many if order.count > MANY_ROWS else contextlib.nullcontext()


def _answer(http: web.Request, made: Remembered, is_replayed: bool) -> web.Response:
    headers = {**locate_status(http, made.request_id), **(REPLAYED if is_replayed else {})}
    return json_answer(msgspec.Raw(made.answer), headers=headers)


async def _insert(api: Api, link: Any, workspace_id: UUID, order: Order, render: Render) -> tuple[Remembered, Tally]:
    await _refuse_overload(api, link, workspace_id, order.count)
    request_id, data_key = new_id(), new_data_key()
    tally = await insert_request(
        link,
        request_id,
        workspace_id,
        order.options,
        order.slices,
        order.columns,
        count=order.count,
        data_key=data_key,
        wrapped_key=api.keyring.wrap(data_key),
        retention=timedelta(days=api.settings.retention_days),
        kind=order.kind,
        parent_id=order.parent_id,
    )
    _refuse_invalid(order.options, tally)
    answer = render(request_id, tally)
    if order.key is not None:
        await record_key(link, order.key, request_id, answer)
    return Remembered(request_id, answer), tally


def _refuse_invalid(options: Options, tally: Tally) -> None:
    """Refuse the whole request where it is strict and a row is invalid.

    Raises:
        Problem: naming the first rows and fields (422).
    """
    counts = tally.counts()
    if options.is_strict and counts.invalid:
        words = f"{counts.invalid} of {counts.total} rows are invalid, and the call says strict=true. Nothing was kept."
        raise Problem(422, "invalid-rows", words, faults=faults_of(tally.errors[:REJECTIONS_SHOWN]))


async def _refuse_overload(api: Api, link: Any, workspace_id: UUID, count: int) -> None:
    most = api.settings.max_queued_rows
    queued = await sum_queued_rows(link, workspace_id)
    if queued + count > most:
        words = f"{queued} rows of this workspace wait already; with these it would be more than {most}. Try later."
        raise Problem(429, "queue-full", words, headers={"Retry-After": "60"}, extra={"limit": most, "queued": queued})
