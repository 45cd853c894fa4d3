"""I/O: a request's status as server-sent events (WHATWG HTML, section 9.2), until it is completed."""

from typing import Final

import msgspec
from aiohttp import ClientConnectionResetError, web

from app.api.context import API, base_url
from app.api.parameters import read_query
from app.api.requests import describe, find_request
from app.store.db import StoreError

HEARTBEAT_SECONDS: Final = 15.0
RETRY_MS: Final = 2000


async def events(http: web.Request) -> web.StreamResponse:
    """Send the status now and whenever it has changed; a comment every 15 s keeps proxies from hanging up."""
    api = http.app[API]
    read_query(http.query, ())
    request = await find_request(http)
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
    await response.prepare(http)
    sent = 0
    try:
        await response.write(f"retry: {RETRY_MS}\n\n".encode())
        while not api.is_leaving:
            if request.version != sent:
                body = msgspec.json.encode(await describe(api, request, base_url(http))).decode()
                await response.write(f"id: {request.version}\nevent: status\ndata: {body}\n\n".encode())
                sent = request.version
            if request.finished_at is not None:
                break
            await api.watch.changed(request.id, request.version, request.state, HEARTBEAT_SECONDS)
            request = await find_request(http)
            if request.version == sent:
                await response.write(b": still here\n\n")
        await response.write_eof()
    except (StoreError, ClientConnectionResetError, ConnectionResetError):
        # The stream is under way: an end is all that can be told. The other side comes back by itself.
        if http.transport is not None:
            http.transport.close()
    return response
