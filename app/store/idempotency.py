"""I/O: the calls that bore an Idempotency-Key: each makes one request, however often it is sent."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from app.store.db import Conflict, Database, bind

_GET: Final = bind("get_idempotency_key")
_INSERT: Final = bind("insert_idempotency_key")
_LOCK: Final = bind("lock_idempotency_key")
_PURGE: Final = bind("purge_idempotency_keys")

KEPT: Final = timedelta(hours=24)


class KeyBusy(Conflict):
    """The first call with this key is still being worked on."""


class KeyMismatch(Conflict):
    """This key came with another body before."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A key as one call bears it. `body_hash`: of all that the call asks for."""

    workspace_id: UUID
    text: str
    body_hash: bytes


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the first call with a key made, and the body of its answer; empty: told from the request."""

    request_id: UUID
    answer: bytes


async def claim_key(link: Database, key: IdempotencyKey) -> Remembered | None:
    """Hold a key until the transaction of `link` ends. Returns what it made before; None: it is new.

    Raises:
        KeyBusy: another call holds it.
        KeyMismatch: it came with another body.
    """
    digest = hashlib.sha256(key.workspace_id.bytes + key.text.encode()).digest()
    held = await _LOCK.one(link, int.from_bytes(digest[:8], "big", signed=True))
    if not held["is_ours"]:
        raise KeyBusy
    return await recall_key(link, key)


async def recall_key(db: Database, key: IdempotencyKey) -> Remembered | None:
    """Return what a key made before; None: nothing yet.

    Raises:
        KeyMismatch: it came with another body.
    """
    found = await _GET.one(db, key.workspace_id, key.text, KEPT)
    if found is None:
        return None
    if found["body_hash"] != key.body_hash:
        raise KeyMismatch
    return Remembered(found["request_id"], found["answer"])


async def record_key(link: Database, key: IdempotencyKey, request_id: UUID, answer: bytes) -> None:
    """Remember what a call made, in the transaction that made it."""
    await _INSERT.run(link, key.workspace_id, key.text, key.body_hash, request_id, answer)


async def purge_keys(db: Database) -> None:
    """Forget keys past their time."""
    await _PURGE.run(db, KEPT)
