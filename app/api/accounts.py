"""I/O: account records: listed, shown, deleted. Secrets are write-only: none is ever given back."""

from datetime import datetime

from aiohttp import web

from app.api.answer import json_answer
from app.api.context import API, CALLER
from app.api.parameters import bad_parameter, read_id, read_page, read_query
from app.model import AccountStatus
from app.report.cell import render_time
from app.store.accounts import AccountRecord, count_accounts, delete_account, get_account, list_accounts
from app.store.db import NotFound

Json = dict[str, object]


async def list_all(http: web.Request) -> web.Response:
    """List accounts by address."""
    api = http.app[API]
    values = read_query(http.query, {"status", "search", "limit", "cursor", "offset"})
    page = read_page(values)
    status, search = values.get("status", ""), values.get("search", "").strip()
    if status and status not in set(AccountStatus):
        raise bad_parameter("status", f"status must be one of {', '.join(AccountStatus)}.")
    workspace_id = http[CALLER].workspace_id
    found = await list_accounts(
        api.db,
        workspace_id,
        after_email=page.cursor,
        status=status,
        search=search,
        limit=page.limit + 1,
        offset=page.offset,
    )
    shown = found[: page.limit]
    payload = {
        "items": [render_account(account) for account in shown],
        "nextCursor": shown[-1].email if len(found) > page.limit else None,
        "total": await count_accounts(api.db, workspace_id, status=status, search=search),
    }
    return json_answer({"payload": payload})


async def get_one(http: web.Request) -> web.Response:
    """Show one account."""
    read_query(http.query, ())
    account_id = read_id(http.match_info["account_id"])
    if account_id is None:
        raise NotFound
    account = await get_account(http.app[API].db, http[CALLER].workspace_id, account_id)
    return json_answer({"payload": render_account(account)})


async def delete_one(http: web.Request) -> web.Response:
    """Delete an account with its credentials."""
    read_query(http.query, ())
    account_id = read_id(http.match_info["account_id"])
    if account_id is None:
        raise NotFound
    email = await delete_account(http.app[API].db, http[CALLER].workspace_id, account_id)
    payload = {"id": str(account_id), "emailAddress": email}
    return json_answer({"message": "The email account is deleted.", "payload": payload})


def render_account(account: AccountRecord) -> Json:
    """Return an account as its owner may see it: everything but its credentials."""
    return {
        "id": str(account.id),
        "emailAddress": account.email,
        "externalId": account.external_id,
        "emailServiceProvider": account.provider,
        "status": account.status,
        "smtp": _side(
            account.smtp_wanted,
            account.smtp_username,
            account.smtp_host,
            account.smtp_port,
            account.smtp_encryption,
            account.smtp_code,
        ),
        "imap": _side(
            account.imap_wanted,
            account.imap_username,
            account.imap_host,
            account.imap_port,
            account.imap_encryption,
            account.imap_code,
        ),
        "errorCount": account.error_count,
        "lastCheckTime": _time(account.checked_at),
        "sendErroredAt": _time(account.smtp_error_at),
        "sendSuccessAt": _time(account.smtp_success_at),
        "syncErroredAt": _time(account.imap_error_at),
        "syncSuccessAt": _time(account.imap_success_at),
        "createdOn": _time(account.created_at),
        "updatedOn": _time(account.updated_at),
        **account.details,
    }


def _side(wanted: bool, username: str, host: str, port: int, encryption: str, code: str) -> Json | None:
    if not wanted:
        return None
    return {"userName": username, "host": host, "port": port, "encryption": encryption or None, "code": code or None}


def _time(moment: datetime | None) -> str | None:
    return render_time(moment) if moment is not None else None
