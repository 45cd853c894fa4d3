"""I/O: who calls, and the request that the call is about: one question, since every call asks it."""

from typing import Final
from uuid import UUID

from app.model import Caller, Scope
from app.store.db import Database, bind
from app.store.requests import RequestRecord, read_request

_GET_CALLER: Final = bind("get_caller")


async def get_caller(
    db: Database, key_hash: bytes, request_id: UUID | None = None
) -> tuple[Caller, RequestRecord | None] | None:
    """Return whose key has that hash, and that request of their workspace; None: nobody's, or it has ended."""
    record = await _GET_CALLER.one(db, key_hash, request_id)
    if record is None:
        return None
    values = dict(record)
    known = {scope.value for scope in Scope}
    scopes = frozenset(Scope(scope) for scope in values.pop("scopes") if scope in known)
    caller = Caller(values.pop("home_id"), values.pop("key_id"), values.pop("workspace"), scopes)
    return caller, read_request(values) if values["id"] is not None else None
