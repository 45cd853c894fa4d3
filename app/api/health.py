"""I/O: whether this process lives, and whether it can serve: yes or no, and nothing else."""

from aiohttp import web

from app.api.answer import json_answer
from app.api.context import API
from app.store.db import is_reachable


async def healthz(_http: web.Request) -> web.Response:
    """Say yes: the process answers."""
    return json_answer({"status": "ok"})


async def readyz(http: web.Request) -> web.Response:
    """Say whether calls can be served: PostgreSQL answers and nobody has told us to leave."""
    api = http.app[API]
    if api.is_leaving or not await is_reachable(api.db):
        return json_answer({"status": "unavailable"}, 503)
    return json_answer({"status": "ok"})
