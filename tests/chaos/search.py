"""I/O: whether a secret got out, and whether anything was left behind."""

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from app.store.db import connect
from tests.chaos.stage import MARK, Stage

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"


async def find_secrets(stage: Stage, texts: dict[str, str]) -> list[str]:
    """Search every table, Valkey, the service's words and `texts` for passwords, plain and in base64."""
    places = {**texts, "the service's words": (stage.folder / "service.log").read_text(errors="replace")}
    db = await connect(stage.ground.database_url)
    try:
        for record in await db.fetch(TABLES):
            name = record["tablename"]
            rows = await db.fetch(f"SELECT t::text AS line FROM {name} t")
            places[f"table {name}"] = "\n".join(row["line"] for row in rows)
    finally:
        await db.close()
    async with Redis.from_url(stage.ground.redis_url) as redis:
        places["Valkey"] = repr([await redis.dump(key) for key in await redis.keys()])
    for log in ("postgresql.log", "valkey.log"):
        places[log] = (stage.folder / "data" / log).read_text(errors="replace")
    needles = _needles(stage.mark)
    return [f"a password is in {place}" for place, text in places.items() if any(needle in text for needle in needles)]


def find_processes(mark: str) -> list[int]:
    """Return the processes of a run that are still there."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                environ = (entry / "environ").read_bytes()
            except OSError:
                continue
            if f"{MARK}={mark}".encode() in environ:
                found.append(int(entry.name))
    return found


def _needles(mark: str) -> list[str]:
    """Return what every password of a run begins with: plain, in base64 at its three places, and in hex."""
    plain = f"pw-{mark}".encode()
    return [plain.decode(), plain.hex(), *_in_base64(plain)]


def _in_base64(plain: bytes) -> Iterator[Any]:
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + plain).decode()
        yield encoded[(4 if shift else 0) : len(encoded) - 4]
