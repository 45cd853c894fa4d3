"""I/O: the OpenAPI document, and the same as a page for people."""

from functools import cache
from typing import Any, Final

import msgspec
from aiohttp import web

from app.api.context import base_url
from app.api.openapi import make_document
from app.api.reference import render_reference

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


async def openapi(http: web.Request) -> web.Response:
    """Give the document."""
    document = {**_document(), "servers": [{"url": base_url(http)}]}
    headers = {"Access-Control-Allow-Origin": "*"}
    return web.Response(body=msgspec.json.encode(document), content_type="application/json", headers=headers)


async def docs(http: web.Request) -> web.Response:
    """Show the document to people; the page runs no script."""
    headers = {"Content-Security-Policy": _POLICY}
    page = render_reference(_document(), base_url(http))
    return web.Response(text=page, content_type="text/html", charset="utf-8", headers=headers)


@cache
def _document() -> dict[str, Any]:
    return make_document()
