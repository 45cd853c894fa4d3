"""A call with a key makes one thing, however often it is sent, and at whatever moment."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from app.store.db import transaction
from app.store.idempotency import (
    KEPT,
    IdempotencyKey,
    KeyBusy,
    KeyMismatch,
    Remembered,
    claim_key,
    purge_keys,
    record_key,
)
from app.store.requests import purge_request
from app.store.workspaces import insert_workspace
from tests.store.ledger import Space, make_rows


async def make(space: Space, text: str = "key-1") -> tuple[IdempotencyKey, Remembered]:
    """Send a call for the first time."""
    key = IdempotencyKey(space.id, text, b"hash of the body")
    request_id = await space.add(make_rows(1))
    async with transaction(space.db) as link:
        assert await claim_key(link, key) is None
        await record_key(link, key, request_id, b"{}")
    return key, Remembered(request_id, b"{}")


async def ask(space: Space, key: IdempotencyKey) -> Remembered | None:
    async with transaction(space.db) as link:
        return await claim_key(link, key)


async def test_the_second_call_finds_what_the_first_made(space: Space) -> None:
    key, made = await make(space)
    assert await ask(space, key) == made


async def test_the_same_key_with_another_body_is_refused(space: Space) -> None:
    key, _ = await make(space)
    with pytest.raises(KeyMismatch):
        await ask(space, replace(key, body_hash=b"other"))


async def test_a_key_of_another_workspace_is_another_key(space: Space) -> None:
    key, _ = await make(space)
    other = await insert_workspace(space.db, "another", space.keyring)
    assert await ask(space, replace(key, workspace_id=other.id)) is None


async def test_a_call_while_the_first_is_worked_on_is_told_so(space: Space) -> None:
    key = IdempotencyKey(space.id, "slow", b"hash")
    async with transaction(space.db) as link:
        assert await claim_key(link, key) is None
        with pytest.raises(KeyBusy):
            await asyncio.wait_for(ask(space, key), 5)
        assert await ask(space, replace(key, text="other")) is None
    assert await ask(space, key) is None


async def test_a_key_past_its_time_is_as_new(space: Space) -> None:
    key, _ = await make(space)
    await space.db.execute("UPDATE idempotency_keys SET created_at = now() - $1::interval", KEPT + timedelta(seconds=1))
    assert await ask(space, key) is None
    second = await space.add(make_rows(1))
    async with transaction(space.db) as link:
        await record_key(link, replace(key, body_hash=b"new"), second, b"")
    assert await ask(space, replace(key, body_hash=b"new")) == Remembered(second, b"")


async def test_keys_are_forgotten_with_their_time_or_their_request(space: Space) -> None:
    await make(space, "old")
    await space.db.execute("UPDATE idempotency_keys SET created_at = now() - $1::interval", KEPT + timedelta(seconds=1))
    _, made = await make(space, "young")
    await purge_keys(space.db)
    assert await space.db.fetchval("SELECT array_agg(key) FROM idempotency_keys") == ["young"]
    await purge_request(space.db, made.request_id)
    assert await space.db.fetchval("SELECT count(*) FROM idempotency_keys") == 0
