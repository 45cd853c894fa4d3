"""I/O: the Idempotency-Key of a call that creates something (draft-ietf-httpapi-idempotency-key-header-07).

The key is remembered in the transaction that stores what the call made: a process that dies in between leaves neither.
"""

import hashlib
from typing import Final

from aiohttp import web

from app.api.context import CALLER
from app.api.problem import Fault, Problem
from app.store.idempotency import IdempotencyKey

KEY_LIMIT: Final = 255
REPLAYED: Final = {"Idempotent-Replayed": "true"}


def read_idempotency_key(http: web.Request, body: bytes) -> IdempotencyKey | None:
    """Return the key of a call with all that the call asks for; None: it bears none.

    Raises:
        Problem: the header is no key (400).
    """
    text = http.headers.get("Idempotency-Key")
    if text is None:
        return None
    text = text.strip().strip('"')
    if not 0 < len(text) <= KEY_LIMIT or not (text.isascii() and text.isprintable()):
        words = f"Idempotency-Key must be 1 to {KEY_LIMIT} printable ASCII characters."
        raise Problem(400, "idempotency-key", words, faults=[Fault("Idempotency-Key", "format", words)])
    digest = hashlib.sha256(f"{http.method} {http.rel_url.raw_path_qs}\n{http.content_type}\n".encode())
    digest.update(body)
    return IdempotencyKey(http[CALLER].workspace_id, text, digest.digest())


def key_busy() -> Problem:
    """Return the answer while the first call with a key is worked on."""
    words = "The first call with this Idempotency-Key is still being worked on. Try again in a moment."
    return Problem(409, "idempotency-busy", words, headers={"Retry-After": "1"})


def key_mismatch() -> Problem:
    """Return the answer to a key that came with another body."""
    words = "This Idempotency-Key came with another call before. Use a new key for a new call."
    return Problem(422, "idempotency-mismatch", words)
