"""I/O: rows that failed and accounts that were kept, checked again; both answer as connect does."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec.structs import replace

from app.api.accept import Order, accept_order, answer_again
from app.api.body import read_body
from app.api.context import API, CALLER, Api
from app.api.idempotency import read_idempotency_key
from app.api.parameters import read_id, read_query
from app.api.problem import Fault, Problem, faults_of
from app.api.requests import find_request
from app.intake.body import cut_rows, list_columns, mark_duplicates
from app.intake.fields import quote
from app.intake.mend import lacks_secret, mend_row
from app.intake.row import broken_row
from app.model import REJECTIONS_SHOWN, OnExisting, Options, Row, Save
from app.seal import Sealer, SealError
from app.store.again import list_accounts_to_check, list_failed_rows, renew_rows
from app.store.requests import RequestRecord
from app.store.workspaces import get_workspace

_GONE: Final = "secret_gone"

Given = dict[int, dict[str, object]]


async def retry(http: web.Request) -> web.Response:
    """Check the failed rows of a request again, with corrected fields where the call brings some."""
    api = http.app[API]
    read_query(http.query, ())
    body = await read_body(http, api.settings.max_body_bytes)
    given = _read_given(body)
    key = read_idempotency_key(http, body)
    if (before := await answer_again(http, key)) is not None:
        return before
    request = await find_request(http)
    if request.closed_at is None:
        raise Problem(409, "still-running", "Rows of this request are still being checked. Retry when it is completed.")
    failed = await list_failed_rows(api.db, request.id, _opener(api, request))
    if not failed:
        raise Problem(409, "nothing-failed", "No row of this request failed: there is nothing to retry.")
    _refuse_strangers(given, failed)
    # Accounts that were checked again as they are stay so: with their own credentials, and gone where they are gone.
    kind = "reconnect" if request.kind == "reconnect" and not given else "retry"
    if kind == "reconnect":
        workspace = await get_workspace(api.db, request.workspace_id)
        sealer = Sealer(api.keyring.unwrap(workspace.data_key))
        failed = await renew_rows(api.db, request.workspace_id, failed, sealer)
    rows = mark_duplicates(mend_row(row, given.get(row.row, {})) for row in failed)
    _refuse_without_secrets(rows)
    options = Options(Save(request.save), OnExisting.UPDATE, request.auto_correct, name=request.name)
    columns = _columns(request, rows)
    order = Order(options, cut_rows(rows), len(rows), columns, key, kind=kind, parent_id=request.id)
    return await accept_order(http, order)


async def reconnect(http: web.Request) -> web.Response:
    """Check stored accounts again."""
    api = http.app[API]
    read_query(http.query, ())
    body = await read_body(http, api.settings.max_body_bytes)
    texts = _read_account_ids(body)
    key = read_idempotency_key(http, body)
    if (before := await answer_again(http, key)) is not None:
        return before
    if len(texts) > api.settings.max_rows:
        words = f"{len(texts)} accounts are more than the {api.settings.max_rows} that one request may hold."
        raise Problem(413, "too-many-rows", words, extra={"limit": api.settings.max_rows})
    workspace_id = http[CALLER].workspace_id
    workspace = await get_workspace(api.db, workspace_id)
    ids = [read_id(text) for text in texts]
    opener = Sealer(api.keyring.unwrap(workspace.data_key))
    found = await list_accounts_to_check(api.db, workspace_id, [one for one in ids if one is not None], opener)
    asked = enumerate(zip(texts, ids, strict=True), 1)
    rows = mark_duplicates(_as_row(number, text, one, found) for number, (text, one) in asked)
    return await accept_order(http, Order(Options(), cut_rows(rows), len(rows), [], key, kind="reconnect"))


def _as_row(number: int, text: str, account_id: UUID | None, found: Mapping[UUID, Row]) -> Row:
    """Return an account as row `number`; where that cannot be, the row's error names the entry as programs count it."""
    field = f"emailAccountIds[{number - 1}]"
    row = found.get(account_id) if account_id is not None else None
    if row is None:
        words = f"{field}: there is no account {quote(text)} in your workspace."
        return broken_row(number, words, field, "value")
    if lacks_secret(row):
        words = f"{field}: no credentials of this account can be opened. Connect it again."
        return replace(broken_row(number, words, field, _GONE), email=row.email, external_id=row.external_id)
    return replace(row, row=number)


def _opener(api: Api, request: RequestRecord) -> Sealer | None:
    """Return what opens a request's secrets; None: they are destroyed, or sealed with a key that is gone."""
    if request.data_key is None:
        return None
    try:
        return Sealer(api.keyring.unwrap(request.data_key))
    except SealError:
        return None


def _columns(request: RequestRecord, rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys([*request.columns, *list_columns(rows)]))


def _refuse_strangers(given: Given, failed: Sequence[Row]) -> None:
    strangers = sorted(set(given) - {row.row for row in failed})
    if strangers:
        faults = [Fault("row", "value", f"Row {number} did not fail.", number) for number in strangers]
        words = f"Only rows that failed can be retried; row {strangers[0]} did not fail."
        raise Problem(422, "not-failed", words, faults=faults[:REJECTIONS_SHOWN])


def _refuse_without_secrets(rows: Sequence[Row]) -> None:
    wrong = [error for row in rows for error in row.errors if error.code != "missing" or "Password" not in error.field]
    if wrong:
        words = f"Row {wrong[0].row}: {wrong[0].message}"
        raise Problem(422, "invalid-rows", words, faults=faults_of(wrong[:REJECTIONS_SHOWN]))
    bare = [row for row in rows if row.errors or lacks_secret(row)]
    if bare:
        words = "The password of this row is not kept any more: send it along."
        faults = [Fault("smtpPassword", _GONE, words, row.row) for row in bare]
        listed = ", ".join(str(row.row) for row in bare[:20]) + (", …" if len(bare) > 20 else "")
        words = f"The passwords of {len(bare)} rows are not kept any more; send them along. Rows: {listed}."
        raise Problem(409, "secrets-gone", words, faults=faults[:REJECTIONS_SHOWN], extra={"rows": _numbers(bare)})


def _numbers(rows: Sequence[Row]) -> list[int]:
    return [row.row for row in rows]


def _read_given(body: bytes) -> Given:
    """Return corrected fields by row."""
    if not body.strip():
        return {}
    try:
        entries = msgspec.json.decode(body, type=list[dict[str, object]])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        words = 'The body must be empty, or an array of corrected rows: [{"row": 3, "smtpPassword": "…"}].'
        raise Problem(400, "body", words) from None
    given: Given = {}
    for place, entry in enumerate(entries, 1):
        number = entry.pop("row", None)
        if type(number) is not int or number < 1 or number in given:
            words = f"Entry {place} must name its row, and each row once: row is the number in the report."
            raise Problem(400, "body", words, faults=[Fault("row", "value", words)])
        given[number] = entry
    return given


def _read_account_ids(body: bytes) -> list[str]:
    try:
        ids = msgspec.json.decode(body, type=dict[str, list[str]]).get("emailAccountIds")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        ids = None
    if not ids:
        words = 'The body must name accounts: {"emailAccountIds": ["…"]}.'
        raise Problem(400, "body", words, faults=[Fault("emailAccountIds", "missing", words)])
    return ids
