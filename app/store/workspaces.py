"""I/O: workspaces, their API keys and data keys."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from app.model import Scope
from app.seal import Keyring, new_api_key, new_data_key
from app.store.db import Database, NotFound, bind, new_id

_GET_WORKSPACE: Final = bind("get_workspace")
_INSERT_API_KEY: Final = bind("insert_api_key")
_INSERT_WORKSPACE: Final = bind("insert_workspace")
_LIST_API_KEYS: Final = bind("list_api_keys")
_LIST_DATA_KEYS: Final = bind("list_data_keys")
_REVOKE_API_KEY: Final = bind("revoke_api_key")
_REWRAP: Final = {"requests": bind("rewrap_request_key"), "workspaces": bind("rewrap_workspace_key")}


@dataclass(frozen=True, slots=True)
class Workspace:
    """A customer's space; `data_key` is wrapped."""

    id: UUID
    name: str
    data_key: bytes


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as people may see it."""

    id: UUID
    workspace: str
    name: str
    prefix: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


async def insert_workspace(db: Database, name: str, keyring: Keyring) -> Workspace:
    """Return the workspace of that name, made where it is missing."""
    record = await _INSERT_WORKSPACE.one(db, new_id(), name, keyring.wrap(new_data_key()))
    return Workspace(*record)


async def get_workspace(db: Database, workspace_id: UUID) -> Workspace:
    """Return a workspace.

    Raises:
        NotFound: it is gone.
    """
    record = await _GET_WORKSPACE.one(db, workspace_id)
    if record is None:
        raise NotFound
    return Workspace(*record)


async def insert_api_key(
    db: Database, workspace_id: UUID, scopes: Collection[Scope], *, name: str = "", expires_at: datetime | None = None
) -> tuple[str, UUID]:
    """Make a key. Returns its text, which nothing keeps, and its id."""
    text, prefix, key_hash = new_api_key()
    key_id = new_id()
    await _INSERT_API_KEY.one(db, key_id, workspace_id, name, prefix, key_hash, sorted(scopes), expires_at)
    return text, key_id


async def list_api_keys(db: Database) -> list[ApiKey]:
    """Return all keys, oldest first."""
    return [ApiKey(**{**record, "scopes": tuple(record["scopes"])}) for record in await _LIST_API_KEYS.many(db)]


async def revoke_api_key(db: Database, id_or_prefix: str) -> list[str]:
    """Revoke a key by its id or by the part that is shown. Returns what was revoked, as shown."""
    return [record["prefix"] for record in await _REVOKE_API_KEY.many(db, id_or_prefix)]


async def rotate_secrets(db: Database, keyring: Keyring) -> int:
    """Wrap every data key anew under the first of the secret keys. Returns how many were not yet.

    Raises:
        SealError: a data key was wrapped under a key that is not in the ring.
    """
    return await _rewrap(db, keyring, await _LIST_DATA_KEYS.many(db))


async def _rewrap(db: Database, keyring: Keyring, records: Sequence[Sequence[object]]) -> int:
    count = 0
    for owner, key_id, old in records:
        if isinstance(old, bytes) and not keyring.is_current(old):
            await _REWRAP[str(owner)].run(db, key_id, old, keyring.wrap(keyring.unwrap(old)))
            count += 1
    return count
