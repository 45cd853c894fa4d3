"""I/O: the body of a call, within its limits of bytes and time."""

import asyncio
from typing import Final

from aiohttp import web

from app.api.problem import Problem

PAUSE_SECONDS: Final = 20.0
"""The longest silence in the middle of a body."""
WHOLE_SECONDS: Final = 300.0
_CODINGS: Final = frozenset({"", "identity", "gzip", "deflate"})


async def read_body(http: web.Request, most_bytes: int) -> bytes:
    """Return the whole body, inflated where it came compressed.

    Raises:
        Problem: too large (413), too slow (408), a coding that is not known (415).
    """
    coding = http.headers.get("Content-Encoding", "").strip().lower()
    if coding not in _CODINGS:
        raise Problem(415, "content-encoding", "Content-Encoding must be gzip, deflate, or absent.")
    if (http.content_length or 0) > most_bytes:
        raise _too_large(most_bytes)
    blocks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(WHOLE_SECONDS):
            while True:
                async with asyncio.timeout(PAUSE_SECONDS):
                    block = await http.content.readany()
                if not block:
                    return b"".join(blocks)
                size += len(block)
                if size > most_bytes:
                    raise _too_large(most_bytes)
                blocks.append(block)
    except TimeoutError:
        words = f"The body came too slowly: at most {PAUSE_SECONDS:g} s of silence, {WHOLE_SECONDS:g} s in all."
        raise Problem(408, "slow-body", words, headers={"Connection": "close"}) from None


def _too_large(most_bytes: int) -> Problem:
    words = f"The body is larger than {most_bytes} bytes. Send the rows in several requests."
    return Problem(413, "too-many-bytes", words, extra={"limit": most_bytes})
