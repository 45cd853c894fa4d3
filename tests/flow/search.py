"""Where a secret could have got to: every table, every file, every answer; searched in clear, in base64 and in hex."""

import base64
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from app.store.db import connect
from tests.flow.town import MARK

TAIL = 16
HEX_RUNS = re.compile(rb"[0-9a-f]{16,}")


def forms_of(text: str) -> list[bytes]:
    """Return what a text looks like in clear, in UTF-16, in hex, and in base64 wherever it begins in it."""
    data = text.encode()
    found = [data, data[::-1], text.encode("utf-16-le"), data.hex().encode(), data.hex().upper().encode()]
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + data)
        # Characters in which the neighbours on either side have a part are cut off.
        found.append(whole[(shift * 8 + 5) // 6 : (shift + len(data)) * 8 // 6])
        found.append(found[-1].replace(b"+", b"-").replace(b"/", b"_"))
    return found


def find_secrets(data: bytes, passwords: Collection[str]) -> set[bytes]:
    """Return what of the town's passwords stands in `data`: their mark in any form, or the random part of one."""
    found = {form for form in forms_of(MARK) if form in data}
    tails = {password.removeprefix(MARK).encode() for password in passwords}
    for run in HEX_RUNS.findall(data):
        found |= {run[at : at + TAIL] for at in range(len(run) - TAIL + 1) if run[at : at + TAIL] in tails}
    return found


async def dump_tables(url: str) -> dict[str, bytes]:
    """Return every table of a database as COPY writes it."""
    link = await connect(url)
    try:
        names = [
            record[0]
            for record in await link.fetch("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'")
        ]
        return {name: await _copy(link, name) for name in names}
    finally:
        await link.close()


async def _copy(link: Any, name: str) -> bytes:
    blocks: list[bytes] = []

    async def keep(block: bytes) -> None:
        blocks.append(block)

    await link.copy_from_query(f"SELECT * FROM {name}", output=keep)
    return b"".join(blocks)


async def dump_valkey(url: str) -> bytes:
    """Return every key of Valkey with its value."""
    parts: list[bytes] = []
    async with Redis.from_url(url) as redis:
        async for key in redis.scan_iter():
            parts += [key, await redis.dump(key) or b""]
    return b"\n".join(parts)


def read_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every file under a folder: tables as they lie on disk, the write-ahead log, logs, reports."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "secret-keys":
            yield str(path.relative_to(folder)), path.read_bytes()


def join(texts: Iterable[str]) -> bytes:
    return "\n".join(texts).encode(errors="surrogatepass")
