"""I/O: brings a database to the newest schema. Several may start at once: one works, the others wait.

Waiting polls `pg_try_advisory_lock`, since a waiter in `pg_advisory_lock` would deadlock with an index that is
built concurrently.
"""

import asyncio
import hashlib
from typing import Any, Final

import asyncpg

from app.store.db import StoreError, bind, connect, translated
from sql import list_migrations

LOCK: Final = 0x62756C6B  # "bulk"
POLL_SECONDS: Final = 0.1
LOCK_TRIES: Final = 20
LOCK_PAUSE_SECONDS: Final = 1.0
"""A table that is in use is asked for again and again, for as long as its file allows: in between, others go on."""

_LIST_APPLIED: Final = bind("list_applied_migrations")
_MAKE_LEDGER: Final = bind("make_migration_ledger")
_NOTE: Final = bind("note_migration")
_TAKE_LOCK: Final = bind("take_migration_lock")


class MigrationError(StoreError):
    """A migration that was applied has changed since."""


async def migrate(url: str, migrations: list[tuple[str, str]] | None = None) -> list[str]:
    """Apply what is missing, each file in a transaction of its own. Returns the names applied.

    Raises:
        MigrationError: an applied file has changed.
        Unavailable: PostgreSQL does not answer.
    """
    link = await connect(url)
    try:
        with translated():
            while not (await _TAKE_LOCK.one(link, LOCK))["is_ours"]:  # noqa: ASYNC110 - held elsewhere
                await asyncio.sleep(POLL_SECONDS)
            await _MAKE_LEDGER.run(link)
            return await _apply(link, list_migrations() if migrations is None else migrations)
    finally:
        await link.close(timeout=5)


async def _apply(link: Any, migrations: list[tuple[str, str]]) -> list[str]:
    known = {record["name"]: record["sha256"] for record in await _LIST_APPLIED.many(link)}
    applied = []
    for name, text in migrations:
        digest = hashlib.sha256(text.encode()).digest()
        if name in known:
            if known[name] != digest:
                raise MigrationError(f"{name} was applied and has changed since; add a new migration instead")
            continue
        if name.endswith(".notx.sql"):
            await link.execute(text)
            await _NOTE.run(link, name, digest)
        else:
            await _apply_whole(link, name, text, digest)
        applied.append(name)
    return applied


async def _apply_whole(link: Any, name: str, text: str, digest: bytes) -> None:
    for tries_left in reversed(range(LOCK_TRIES)):
        try:
            async with link.transaction():
                await link.execute(text)
                await _NOTE.run(link, name, digest)
        except asyncpg.LockNotAvailableError:
            if not tries_left:
                raise
            await asyncio.sleep(LOCK_PAUSE_SECONDS)
        else:
            return
