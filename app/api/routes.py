"""I/O: every path of the API, the scope that it needs, and the handler that answers it."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from app.api import accounts, again, connect, diagnoses, document, events, health, reports, requests, single
from app.api.guard import admit
from app.model import Scope

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """One path and method. `scope` None: no key is needed."""

    method: str
    path: str
    handler: Handler
    scope: Scope | None


_ACCOUNTS: Final = "/v1/email-accounts"
_CONNECT: Final = f"{_ACCOUNTS}/connect"

ROUTES: Final = (
    Route("POST", _CONNECT, connect.connect, Scope.CONNECT),
    Route("GET", _CONNECT, requests.list_all, Scope.READ),
    Route("GET", f"{_CONNECT}/status/{{request_id}}", requests.status, Scope.READ),
    Route("GET", f"{_CONNECT}/status/{{request_id}}/events", events.events, Scope.READ),
    Route("GET", f"{_CONNECT}/{{request_id}}/rows", requests.rows, Scope.READ),
    Route("GET", f"{_CONNECT}/{{request_id}}/report.csv", reports.report, Scope.READ),
    Route("POST", f"{_CONNECT}/{{request_id}}/cancel", requests.cancel, Scope.CONNECT),
    Route("POST", f"{_CONNECT}/{{request_id}}/retry", again.retry, Scope.CONNECT),
    Route("POST", f"{_ACCOUNTS}/reconnect", again.reconnect, Scope.CONNECT),
    Route("POST", f"{_ACCOUNTS}/smtp-imap/connect", single.connect_one, Scope.CONNECT),
    Route("GET", _ACCOUNTS, accounts.list_all, Scope.READ),
    Route("GET", f"{_ACCOUNTS}/{{account_id}}", accounts.get_one, Scope.READ),
    Route("DELETE", f"{_ACCOUNTS}/{{account_id}}", accounts.delete_one, Scope.WRITE),
    Route("GET", "/v1/diagnoses", diagnoses.list_all, Scope.READ),
    Route("GET", "/v1/diagnoses/{code}", diagnoses.get_one, Scope.READ),
    Route("POST", "/v1/diagnoses/explain", diagnoses.explain_one, Scope.READ),
    Route("GET", "/v1/reports/{path:.+}", reports.signed_report, None),
    Route("GET", "/openapi.json", document.openapi, None),
    Route("GET", "/docs", document.docs, None),
    Route("GET", "/healthz", health.healthz, None),
    Route("GET", "/readyz", health.readyz, None),
)


def add_routes(app: web.Application) -> None:
    """Give the application every route, each behind its guard; what is open can be asked for its head alone."""
    for route in ROUTES:
        path = _spare_words(route.path)
        handler = route.handler if route.scope is None else _guarded(route.handler, route.scope)
        app.router.add_route(route.method, path, handler)
        if route.method == "GET" and route.scope is None:
            app.router.add_route("HEAD", path, handler)


def _spare_words(path: str) -> str:
    """Let an id that ends a path be anything but the words which other paths have in its place.

    So a wrong method for `/connect` is told the methods of `/connect`, and not those of `/{account_id}` with them.
    """
    head, _, last = path.rpartition("/")
    words = {re.escape(route.path.rpartition("/")[2]) for route in ROUTES if route.path.rpartition("/")[0] == head}
    words.discard(re.escape(last))
    if not words or not last.startswith("{") or ":" in last:
        return path
    return f"{head}/{last[:-1]}:(?!(?:{'|'.join(sorted(words))})$)[^{{}}/]+}}"


def _guarded(handler: Handler, scope: Scope) -> Handler:
    async def handle(http: web.Request) -> web.StreamResponse:
        await admit(http, scope)
        return await handler(http)

    return handle
