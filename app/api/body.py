"""I/O: the body of a call, within its limits of bytes and time."""

import asyncio
from typing import Final

from aiohttp import web

from app.api.context import API, BodyPace
from app.api.inflate import InflateError, Inflater
from app.api.problem import Problem

LARGE_BYTES: Final = 1024 * 1024
"""Larger bodies are worked on beside the loop: 60 MB take a while."""

_CODINGS: Final = frozenset({"", "identity", "gzip", "deflate"})


async def read_body(http: web.Request, most_bytes: int) -> bytes:
    """Return the whole body, inflated where it came compressed.

    Raises:
        Problem: too large (413), too slow (408), a coding that is not known (415) or not kept to (400).
    """
    coding = http.headers.get("Content-Encoding", "").strip().lower()
    if coding not in _CODINGS:
        raise Problem(415, "content-encoding", "Content-Encoding must be gzip, deflate, or absent.")
    if (http.content_length or 0) > most_bytes:
        raise _too_large(most_bytes)
    pace = http.app[API].body_pace
    ends_at = asyncio.get_running_loop().time() + pace.whole_seconds
    inflater = Inflater(coding)
    blocks: list[bytes] = []
    size = 0
    try:
        while block := await _next_block(http, pace, ends_at):
            for plain in inflater.feed(block):
                size += len(plain)
                if size > most_bytes:
                    raise _too_large(most_bytes)
                blocks.append(plain)
                await asyncio.sleep(0)
        inflater.end()
    except InflateError:
        words = f"The body is not what Content-Encoding says, {coding}, or it is cut off."
        raise Problem(400, "body", words) from None
    # What is large is joined beside the loop, which has its turns meanwhile.
    return b"".join(blocks) if size <= LARGE_BYTES else await asyncio.to_thread(b"".join, blocks)


async def _next_block(http: web.Request, pace: BodyPace, ends_at: float) -> bytes:
    """Return what came next; empty: that was all."""
    try:
        async with asyncio.timeout_at(min(ends_at, asyncio.get_running_loop().time() + pace.pause_seconds)):
            return await http.content.readany()
    except TimeoutError:
        words = (
            f"The body came too slowly: at most {pace.pause_seconds:g} s of silence, {pace.whole_seconds:g} s in all."
        )
        raise Problem(408, "slow-body", words, headers={"Connection": "close"}) from None


def _too_large(most_bytes: int) -> Problem:
    words = f"The body is larger than {most_bytes} bytes. Send the rows in several requests."
    return Problem(413, "too-many-bytes", words, extra={"limit": most_bytes})
