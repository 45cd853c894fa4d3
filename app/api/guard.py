"""I/O: who asks, and how much may they ask; place 1 on the line."""

import asyncio
import secrets
import string
from typing import Final
from uuid import UUID

from aiohttp import web

from app.api.context import API, ASKED_FOR, CALLER, RATE_HEADERS, Api
from app.api.parameters import read_id
from app.api.problem import Problem
from app.model import Caller, Scope
from app.seal import hash_api_key
from app.store.callers import get_caller
from app.store.db import Unavailable
from app.store.requests import RequestRecord

TRACE_ID_LIMIT: Final = 128
KEY_SECONDS: Final = 10.0
"""How long PostgreSQL is waited for at the door."""

_PLAIN: Final = frozenset(string.ascii_letters + string.digits + "-_.:/+=@")
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="bulk-connect"'}


async def admit(http: web.Request, scope: Scope) -> None:
    """Find out who asks, and put it on the call, with the headers that tell how much they may still ask.

    Raises:
        Problem: no key or a bad one (401), a missing scope (403), too many calls (429).
    """
    api = http.app[API]
    text = read_key(http)
    if not text:
        words = "Send your API key: the header `x-api-key: KEY` or `Authorization: Bearer KEY`."
        raise Problem(401, "no-key", words, headers=_CHALLENGE)
    # What changes a request looks at it when it comes to that; a body may be on its way for minutes.
    request_id = read_id(http.match_info.get("request_id", "")) if http.method == "GET" else None
    found = await _find_caller(api, text, request_id)
    if found is None:
        words = "This API key is not known, was revoked, or has expired."
        raise Problem(401, "bad-key", words, headers=_CHALLENGE)
    caller, request = found
    http[CALLER] = caller
    if request is not None:
        http[ASKED_FOR] = request
    rate = await api.rates.count(caller.key_id)
    http[RATE_HEADERS] = rate.headers()
    if rate.left < 0:
        words = f"More than {rate.most} calls in a minute with this key. Try again in {rate.resets_in_seconds} s."
        raise Problem(429, "rate-limit", words, headers={"Retry-After": str(rate.resets_in_seconds)})
    if not caller.may(scope):
        listed = ", ".join(sorted(caller.scopes)) or "none"
        raise Problem(403, "scope", f"This API key lacks the scope {scope.value}. Its scopes: {listed}.")


async def _find_caller(api: Api, text: str, request_id: UUID | None) -> tuple[Caller, RequestRecord | None] | None:
    """Return whose key it is, with their request; None: nobody's.

    This is asked at every call, so here a PostgreSQL is noticed that hangs.

    Raises:
        Unavailable: it did not answer in time.
    """
    try:
        async with asyncio.timeout(KEY_SECONDS):
            return await get_caller(api.db, hash_api_key(text), request_id)
    except TimeoutError:
        raise Unavailable("no answer") from None


def read_key(http: web.Request) -> str:
    """Return the API key of a call; empty: none."""
    direct = http.headers.get("x-api-key", "").strip()
    scheme, _, token = http.headers.get("Authorization", "").strip().partition(" ")
    return direct or (token.strip() if scheme.lower() == "bearer" else "")


def read_trace_id(http: web.Request) -> str:
    """Return the call's X-Request-ID where it is fit for a log line and a header, else a new one."""
    given = http.headers.get("X-Request-ID", "")
    if given and len(given) <= TRACE_ID_LIMIT and _PLAIN.issuperset(given):
        return given
    return secrets.token_hex(16)
