"""I/O: the OpenAPI document, and the same as a page for people."""

from collections.abc import Iterator
from functools import cache
from html import escape
from typing import Any, Final

import msgspec
from aiohttp import web

from app.api.context import base_url
from app.api.openapi import make_document

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; font-size: 1.05rem; } code, h2 { font-family: ui-monospace, monospace; }
h2 b { display: inline-block; min-width: 4.5rem; } table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-top: 1px solid #8884; }
"""


async def openapi(http: web.Request) -> web.Response:
    """Give the document."""
    document = {**_document(), "servers": [{"url": base_url(http)}]}
    headers = {"Access-Control-Allow-Origin": "*"}
    return web.Response(body=msgspec.json.encode(document), content_type="application/json", headers=headers)


async def docs(_http: web.Request) -> web.Response:
    """Show the document to people; the page runs no script."""
    headers = {"Content-Security-Policy": _POLICY}
    return web.Response(text=_page(), content_type="text/html", charset="utf-8", headers=headers)


@cache
def _document() -> dict[str, Any]:
    return make_document()


@cache
def _page() -> str:
    document = _document()
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'>",
        f"<title>bulk-connect API</title><style>{_STYLE}</style><h1>bulk-connect API</h1>",
        f"<p>{escape(document['info']['summary'])} For programs: <a href=/openapi.json>openapi.json</a>.</p>",
        "<p>Send your API key as <code>x-api-key: KEY</code> or <code>Authorization: Bearer KEY</code>.</p>",
    ]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts.append(f"<h2><b>{method.upper()}</b> {escape(path)}</h2>")
            parts += _describe(operation)
    return "\n".join(parts)


def _describe(operation: dict[str, Any]) -> Iterator[str]:
    about = escape(operation.get("description", "Needs no key.")).replace("`", "")
    yield f"<p>{escape(operation['summary'])}. {about}</p>"
    lines = [
        (entry["name"], f"{entry['in']}: {_shape(entry['schema'])}", entry.get("description", ""))
        for entry in operation.get("parameters", ())
    ]
    for kind, body in operation.get("requestBody", {}).get("content", {}).items():
        lines.append(("body", kind, _shape(body["schema"])))
    lines += [(status, "answer", entry["description"]) for status, entry in operation["responses"].items()]
    cells = "".join(
        f"<tr><td><code>{escape(name)}</code><td>{escape(kind)}<td>{escape(about)}" for name, kind, about in lines
    )
    yield f"<table>{cells}</table>"


def _shape(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_shape(schema['items'])}"
    return str(schema.get("type", "anything"))
