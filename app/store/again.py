"""I/O: what is checked again: rows that failed, and accounts that were kept, as rows with their credentials opened."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from msgspec.structs import replace

from app.model import Encryption, Row, Secrets, Side, Source
from app.seal import Sealer, SealError, account_binding, row_binding
from app.store.db import Database, bind
from app.store.requests import cancel_request

_LIST_ACCOUNTS_TO_CHECK: Final = bind("list_accounts_to_check")
_LIST_CANCELLED_REQUESTS: Final = bind("list_cancelled_requests")
_LIST_FAILED_ROWS: Final = bind("list_failed_rows")
_LIST_KNOWN_EMAILS: Final = bind("list_known_emails")

TURN_ROWS: Final = 500


async def list_failed_rows(db: Database, request_id: UUID, opener: Sealer | None) -> list[Row]:
    """Return the rows of a request that failed. `opener` None: its secrets are destroyed, and the rows have none."""
    found = []
    for record in await _LIST_FAILED_ROWS.many(db, request_id):
        binding = row_binding(request_id, record["row"])
        row = Row(
            row=record["row"],
            email=record["email"],
            external_id=record["external_id"],
            provider=record["provider"],
            pace_key=record["pace_key"],
            smtp=_side(record, "smtp", record["smtp_address"]),
            imap=_side(record, "imap", record["imap_address"]),
            secrets=_open(opener, record, binding),
            details=record["details"],
            extra=record["extra"],
        )
        found.append(row)
        if not len(found) % TURN_ROWS:
            await asyncio.sleep(0)  # opening takes the processor's time: others have their turn between
    return found


async def list_accounts_to_check(
    db: Database, workspace_id: UUID, account_ids: Sequence[UUID], opener: Sealer
) -> dict[UUID, Row]:
    """Return the accounts of a workspace as rows, by id; row numbers are 0, and ids that are not there are missing."""
    found = {}
    for record in await _LIST_ACCOUNTS_TO_CHECK.many(db, workspace_id, account_ids):
        email = record["email"]
        found[record["id"]] = Row(
            row=0,
            email=email,
            external_id=record["external_id"],
            provider=record["provider"],
            pace_key=record["provider"] or record["smtp_host"] or record["imap_host"],
            smtp=_side({**record, "sources": {"smtp": _list_own(record, "smtp")}}, "smtp", email),
            imap=_side(
                {**record, "sources": {"imap": _list_own(record, "imap")}}, "imap", record["imap_address"] or email
            ),
            secrets=_open(opener, record, account_binding(workspace_id, email)),
            details=record["details"],
            extra={},
        )
    return found


async def renew_rows(db: Database, workspace_id: UUID, rows: Sequence[Row], opener: Sealer) -> list[Row]:
    """Return the rows with their accounts as they are now; a row whose account is gone, or opens no more, as it was."""
    known = await _LIST_KNOWN_EMAILS.many(db, workspace_id, [row.email for row in rows])
    found = await list_accounts_to_check(db, workspace_id, [record["id"] for record in known], opener)
    stored = {account.email: account for account in found.values() if account.secrets != Secrets()}
    return [replace(stored.get(row.email, row), row=row.row, extra=row.extra) for row in rows]


async def cancel_leftovers(db: Database) -> list[UUID]:
    """Cancel rows that came back after their request was cancelled. Returns the requests that this closed."""
    closed = []
    for record in await _LIST_CANCELLED_REQUESTS.many(db):
        _, is_over = await cancel_request(db, record["workspace_id"], record["id"])
        if is_over:
            closed.append(record["id"])
    return closed


def _open(opener: Sealer | None, record: Mapping[str, Any], binding: bytes) -> Secrets:
    """Return the credentials; none where they cannot be opened any more."""
    if opener is None:
        return Secrets()
    try:
        return opener.open(
            record["sealed"], binding, smtp_is_token=record["smtp_is_token"], imap_is_token=record["imap_is_token"]
        )
    except SealError:
        return Secrets()


def _list_own(record: Mapping[str, Any], name: str) -> dict[str, str]:
    """Return the settings that an account has, as its row's own: they stay while others are mended."""
    settings = ("username", "host", "port", "encryption")
    return {setting: Source.ROW.value for setting in settings if record[f"{name}_{setting}"]}


def _side(record: Mapping[str, Any], name: str, address: str) -> Side:
    encryption = record[f"{name}_encryption"]
    return Side(
        wanted=record[f"{name}_wanted"],
        address=address,
        username=record[f"{name}_username"],
        host=record[f"{name}_host"],
        port=record[f"{name}_port"],
        encryption=Encryption(encryption) if encryption else None,
        sources={setting: Source(source) for setting, source in record["sources"].get(name, {}).items()},
    )
