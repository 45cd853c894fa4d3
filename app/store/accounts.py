"""I/O: account records: what outlives a request."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from app.model import Side
from app.store.db import Database, NotFound, bind, new_id

_COUNT_ACCOUNTS: Final = bind("count_accounts")
_DELETE_ACCOUNT: Final = bind("delete_account")
_GET_ACCOUNT: Final = bind("get_account")
_LIST_ACCOUNTS: Final = bind("list_accounts")
_UPSERT_ACCOUNTS: Final = bind("upsert_accounts")


@dataclass(slots=True)
class KeptAccount:
    """An account to keep, as its row ended. Not frozen, to be made fast.

    `sealed`: under the workspace's data key; `status`: Context.IO's word.
    `is_recheck`: an account was checked again, with its own credentials; it keeps them and all else that is not asked.
    """

    request_id: UUID
    row: int
    workspace_id: UUID
    email: str
    external_id: str
    provider: str
    details: dict[str, object]
    sealed: bytes | None
    smtp_is_token: bool
    imap_is_token: bool
    smtp: Side
    smtp_code: str
    imap: Side
    imap_code: str
    status: str
    is_recheck: bool = False


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """An account as its owner may see it."""

    id: UUID
    email: str
    external_id: str
    provider: str
    details: dict[str, object]
    smtp_wanted: bool
    smtp_username: str
    smtp_host: str
    smtp_port: int
    smtp_encryption: str
    smtp_code: str
    imap_wanted: bool
    imap_address: str
    imap_username: str
    imap_host: str
    imap_port: int
    imap_encryption: str
    imap_code: str
    status: str
    error_count: int
    created_at: datetime
    updated_at: datetime
    checked_at: datetime | None
    smtp_error_at: datetime | None
    smtp_success_at: datetime | None
    imap_error_at: datetime | None
    imap_success_at: datetime | None


async def upsert_accounts(db: Database, accounts: Sequence[KeptAccount]) -> dict[tuple[UUID, int], UUID]:
    """Keep accounts; credentials that worked are never overwritten by such as failed.

    Returns (request, row) to account id, for those that were kept.
    """
    records = await _UPSERT_ACCOUNTS.many(db, [_columns(account) for account in accounts])
    return {(record["request_id"], record["row"]): record["account_id"] for record in records}


async def list_accounts(
    db: Database,
    workspace_id: UUID,
    *,
    after_email: str = "",
    status: str = "",
    search: str = "",
    limit: int = 50,
    offset: int = 0,
) -> list[AccountRecord]:
    """Return accounts by address; empty filters let all through."""
    found = await _LIST_ACCOUNTS.many(db, workspace_id, after_email, status, search, limit, offset)
    return [AccountRecord(*record) for record in found]


async def count_accounts(db: Database, workspace_id: UUID, *, status: str = "", search: str = "") -> int:
    """Return how many accounts pass the filters."""
    return int((await _COUNT_ACCOUNTS.one(db, workspace_id, status, search))["count"])


async def get_account(db: Database, workspace_id: UUID, account_id: UUID) -> AccountRecord:
    """Return an account.

    Raises:
        NotFound: there is none with that id in that workspace.
    """
    record = await _GET_ACCOUNT.one(db, workspace_id, account_id)
    if record is None:
        raise NotFound
    return AccountRecord(*record)


async def delete_account(db: Database, workspace_id: UUID, account_id: UUID) -> str:
    """Delete an account, its credentials with it. Returns its address.

    Raises:
        NotFound: there is none with that id in that workspace.
    """
    record = await _DELETE_ACCOUNT.one(db, workspace_id, account_id)
    if record is None:
        raise NotFound
    return str(record["email"])


def _columns(account: KeptAccount) -> dict[str, Any]:
    return {
        "request_id": account.request_id,
        "row": account.row,
        "id": new_id(),
        "workspace_id": account.workspace_id,
        "email": account.email,
        "external_id": account.external_id,
        "provider": account.provider,
        "details": account.details,
        "sealed": base64.b64encode(account.sealed).decode() if account.sealed is not None else None,
        "smtp_is_token": account.smtp_is_token,
        "imap_is_token": account.imap_is_token,
        **_side_columns("smtp", account.smtp, account.smtp_code),
        **_side_columns("imap", account.imap, account.imap_code),
        "imap_address": account.imap.address,
        "status": account.status,
        "is_recheck": account.is_recheck,
    }


def _side_columns(name: str, side: Side, code: str) -> dict[str, Any]:
    return {
        f"{name}_wanted": side.wanted,
        f"{name}_username": side.username,
        f"{name}_host": side.host,
        f"{name}_port": side.port,
        f"{name}_encryption": side.encryption or "",
        f"{name}_code": code,
    }
