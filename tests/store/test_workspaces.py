"""Workspaces, their keys, and the keys that wrap what seals their secrets."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from app.model import Scope
from app.seal import Keyring, SealError, hash_api_key, new_key_text
from app.store.callers import get_caller
from app.store.db import NotFound
from app.store.workspaces import (
    get_workspace,
    insert_api_key,
    insert_workspace,
    list_api_keys,
    revoke_api_key,
    rotate_secrets,
)
from tests.store.ledger import Space, make_rows

ALL = tuple(Scope)


async def test_a_workspace_is_made_once(pool: Any, keyring: Keyring) -> None:
    made = await insert_workspace(pool, "Sales", keyring)
    assert await insert_workspace(pool, "Sales", keyring) == made
    assert await get_workspace(pool, made.id) == made
    assert len(keyring.unwrap(made.data_key)) == 32
    assert (await insert_workspace(pool, "Service", keyring)).id != made.id
    with pytest.raises(NotFound):
        await get_workspace(pool, uuid4())


async def test_a_key_says_who_calls_and_what_they_may(space: Space) -> None:
    text, key_id = await insert_api_key(space.db, space.id, [Scope.READ, Scope.CONNECT])
    found = await get_caller(space.db, hash_api_key(text))
    assert found is not None
    caller, request = found
    assert request is None
    assert (caller.workspace_id, caller.key_id, caller.workspace) == (space.id, key_id, space.workspace.name)
    assert caller.scopes == {Scope.READ, Scope.CONNECT}
    assert await get_caller(space.db, hash_api_key(text + "x")) is None


async def test_with_the_caller_comes_the_request_that_is_asked_for(space: Space, keyring: Keyring) -> None:
    text, _ = await insert_api_key(space.db, space.id, ALL)
    elsewhere = await insert_workspace(space.db, f"elsewhere {uuid4()}", keyring)
    stranger, _ = await insert_api_key(space.db, elsewhere.id, ALL)
    request_id = await space.add(make_rows(2))
    found = await get_caller(space.db, hash_api_key(text), request_id)
    assert found is not None
    assert (found[0].workspace_id, found[1]) == (space.id, await space.read(request_id))
    for key, asked_for, home in [(stranger, request_id, elsewhere.id), (text, uuid4(), space.id)]:
        found = await get_caller(space.db, hash_api_key(key), asked_for)
        assert found is not None
        assert (found[0].workspace_id, found[1]) == (home, None)


async def test_the_text_of_a_key_is_kept_nowhere(space: Space) -> None:
    text, key_id = await insert_api_key(space.db, space.id, [Scope.ADMIN])
    kept = await space.db.fetchval("SELECT k::text FROM api_keys k WHERE id = $1", key_id)
    assert text not in kept
    assert text[:12] in kept


async def test_a_key_ends_when_it_is_revoked(space: Space) -> None:
    text, key_id = await insert_api_key(space.db, space.id, ALL)
    other, _ = await insert_api_key(space.db, space.id, ALL)
    assert await revoke_api_key(space.db, str(key_id)) == [text[:12]]
    assert await get_caller(space.db, hash_api_key(text)) is None
    assert await get_caller(space.db, hash_api_key(other)) is not None
    assert await revoke_api_key(space.db, str(key_id)) == []
    assert await revoke_api_key(space.db, other[:12]) == [other[:12]]
    assert await revoke_api_key(space.db, "bc_live_none") == []


async def test_a_key_ends_when_its_time_is_over(space: Space) -> None:
    now = datetime.now(UTC)
    over, _ = await insert_api_key(space.db, space.id, ALL, expires_at=now - timedelta(seconds=1))
    good, _ = await insert_api_key(space.db, space.id, ALL, expires_at=now + timedelta(hours=1))
    assert await get_caller(space.db, hash_api_key(over)) is None
    assert await get_caller(space.db, hash_api_key(good)) is not None


async def test_scopes_of_a_newer_version_are_passed_over(space: Space) -> None:
    text, key_id = await insert_api_key(space.db, space.id, [Scope.READ])
    await space.db.execute("UPDATE api_keys SET scopes = scopes || '{webhooks:write}' WHERE id = $1", key_id)
    found = await get_caller(space.db, hash_api_key(text))
    assert found is not None
    caller, request = found
    assert request is None
    assert caller.scopes == {Scope.READ}


async def test_keys_are_listed_as_people_may_see_them(space: Space) -> None:
    text, first = await insert_api_key(space.db, space.id, [Scope.READ, Scope.ADMIN], name="import")
    _, second = await insert_api_key(space.db, space.id, ALL)
    await revoke_api_key(space.db, str(second))
    listed = {key.id: key for key in await list_api_keys(space.db)}
    assert (listed[first].name, listed[first].prefix, listed[first].workspace) == (
        "import",
        text[:12],
        space.workspace.name,
    )
    assert listed[first].scopes == ("admin", "email-accounts:read")
    assert listed[first].revoked_at is None
    assert listed[second].revoked_at is not None
    order = [key.created_at for key in listed.values()]
    assert order == sorted(order)


async def test_rotating_wraps_every_data_key_anew_and_changes_no_secret(space: Space) -> None:
    new = new_key_text()
    await space.db.execute("DELETE FROM workspaces WHERE id <> $1", space.id)
    request_id = await space.add(make_rows(1))
    before = (await space.read(request_id)).data_key
    both = Keyring((*Keyring.from_texts([new]).keys, *space.keyring.keys))
    assert await rotate_secrets(space.db, both) == 2
    assert await rotate_secrets(space.db, both) == 0
    after = (await space.read(request_id)).data_key
    only_new = Keyring.from_texts([new])
    assert before is not None
    assert after is not None
    assert only_new.unwrap(after) == space.keyring.unwrap(before)
    workspace = await get_workspace(space.db, space.id)
    assert only_new.unwrap(workspace.data_key) == space.keyring.unwrap(space.workspace.data_key)


async def test_rotating_without_the_old_key_says_so(space: Space) -> None:
    with pytest.raises(SealError):
        await rotate_secrets(space.db, Keyring.from_texts([new_key_text()]))
