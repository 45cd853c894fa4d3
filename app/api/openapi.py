"""Pure: the OpenAPI document: every path, its parameters, bodies, answers and scope; tests hold it to the routes."""

from typing import Any, Final

import app
from app.api.parameters import MOST_PAGE_ROWS, PENDING
from app.api.schemas import Schema, entry, flag, make_schemas, many, page_of, ref, text, whole, words
from app.model import AccountStatus, OnExisting, Outcome, Save, Scope

_JSON: Final = "application/json"
_ONCE: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "maxLength": 255},
    "description": "The same key and body within 24 h give the first answer again, and make nothing new.",
}
_WAIT: Final = "Seconds to wait for a change: a new state is told at once, new counts after some seconds."
_BOM: Final = {
    "name": "bom",
    "in": "query",
    "schema": {"type": "boolean", "default": False},
    "description": "true: begin with a byte order mark, by which Excel reads letters such as ü aright.",
}
_PROBLEMS: Final = {
    400: "The call is wrong: the body as a whole, or a parameter.",
    401: "No API key, or one that is not known.",
    403: "The API key lacks the scope.",
    404: "No such thing in your workspace.",
    409: "The first call with this Idempotency-Key is still being worked on, or the request does not allow it now.",
    408: "The body came too slowly.",
    413: "More rows or bytes than allowed; the limit is named.",
    415: "A Content-Type that is not served.",
    422: "Rows are invalid, and that refuses the whole call here.",
    429: "Too many calls in a minute, or too many rows waiting.",
    500: "A defect of ours; it is logged under the requestTraceId.",
    503: "Nothing can be stored or read now. Try again: with an Idempotency-Key nothing is made twice.",
}
_BODY_PROBLEMS: Final = (408, 413)
_POST_PROBLEMS: Final = (400, *_BODY_PROBLEMS, 409, 422)


def make_document() -> Schema:
    """Return the document without its servers."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "bulk-connect",
            "version": app.__version__,
            "summary": "Connect mailboxes in bulk: every SMTP and IMAP login checked, every failure explained.",
            "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
        },
        "security": [{"apiKey": []}, {"bearer": []}],
        "paths": {**_connect_paths(), **_request_paths(), **_account_paths(), **_other_paths()},
        "components": {
            "schemas": make_schemas(),
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _connect_paths() -> Schema:
    accounts = {"type": "array", "minItems": 1, "items": ref("Account")}
    body = {_JSON: {"schema": accounts}, "application/x-ndjson": {"schema": text("One account a line.")}}
    choices = [
        _query("save", words(Save), "Which accounts are kept; none: secrets are destroyed when the request ends."),
        _query("onExisting", words(OnExisting), "What happens to addresses that are accounts already."),
        _query("autoCorrect", flag(), "Whether a wrong port or TLS mode is mended; true unless said."),
    ]
    options = [
        *choices,
        _query("strict", flag(), "true: one invalid row refuses the whole request."),
        _query("name", text(maxLength=200), "A label."),
    ]
    post = _operation(
        "Connect an array of accounts; answered at once, checked in the background",
        Scope.CONNECT,
        ref("Accepted"),
        parameters=[*options, _ONCE],
        body=body,
        problems=(*_POST_PROBLEMS, 415),
    )
    listed = _operation("List requests, newest first", Scope.READ, page_of(ref("Request")), parameters=_page())
    single = _operation(
        "Check one account while you wait",
        Scope.CONNECT,
        ref("Single"),
        parameters=[*choices, _ONCE],
        body={_JSON: {"schema": ref("Account")}},
        problems=(*_POST_PROBLEMS, 415),
    )
    still = {
        "description": "Still being checked; the status tells how it ends.",
        "content": _content(entry({"message": text(), "payload": entry({"requestId": text()})})),
    }
    single["responses"]["202"] = still
    ids = entry({"emailAccountIds": many(text(), minItems=1)})
    again = _operation(
        "Check stored accounts again",
        Scope.CONNECT,
        ref("Accepted"),
        parameters=[_ONCE],
        body={_JSON: {"schema": ids}},
        problems=_POST_PROBLEMS,
    )
    base = "/v1/email-accounts"
    return {
        f"{base}/connect": {"post": post, "get": listed},
        f"{base}/reconnect": {"post": again},
        f"{base}/smtp-imap/connect": {"post": single},
    }


def _request_paths() -> Schema:
    base = "/v1/email-accounts/connect"
    here = _path("request_id", "The requestId.")
    outcomes = words([*Outcome, PENDING])
    status = _operation(
        "Tell where a request is",
        Scope.READ,
        entry({"payload": ref("Status")}),
        parameters=[here, _query("wait", {"type": "number", "maximum": 60}, _WAIT)],
        problems=(404,),
    )
    status["responses"]["304"] = {"description": "Nothing has changed since the ETag in If-None-Match."}
    rows = _operation(
        "List row results in input order",
        Scope.READ,
        page_of(ref("Row")),
        parameters=[here, _query("outcome", outcomes), _query("code", ref("Code")), *_page()],
        problems=(404,),
    )
    report = _operation(
        "Download the CSV, at any time: what is known so far",
        Scope.READ,
        {"type": "string"},
        kind="text/csv",
        parameters=[here, _query("outcome", outcomes), _BOM],
        problems=(404,),
    )
    cancel = _operation(
        "Take back rows that nobody checks yet",
        Scope.CONNECT,
        entry({"message": text(), "payload": ref("Status")}),
        parameters=[here],
        problems=(404,),
    )
    mended = {"allOf": [ref("Account"), entry({"row": whole("As in the report.", minimum=1)})]}
    retry = _operation(
        "Check the failed rows again, with corrected fields where some are sent",
        Scope.CONNECT,
        ref("Accepted"),
        parameters=[here, _ONCE],
        body={_JSON: {"schema": {"type": "array", "items": mended}}},
        problems=(404, *_POST_PROBLEMS),
    )
    retry["requestBody"]["required"] = False
    events = _operation(
        "The status as server-sent events",
        Scope.READ,
        {"type": "string"},
        kind="text/event-stream",
        parameters=[here],
        problems=(404,),
    )
    return {
        f"{base}/status/{{request_id}}": {"get": status},
        f"{base}/status/{{request_id}}/events": {"get": events},
        f"{base}/{{request_id}}/rows": {"get": rows},
        f"{base}/{{request_id}}/report.csv": {"get": report},
        f"{base}/{{request_id}}/cancel": {"post": cancel},
        f"{base}/{{request_id}}/retry": {"post": retry},
    }


def _account_paths() -> Schema:
    here = _path("account_id", "The account's id.")
    filters = [
        _query("status", words(AccountStatus), "How it fares, in Context.IO's words."),
        _query("search", text(), "Part of the address."),
    ]
    listed = _operation(
        "List accounts by address", Scope.READ, page_of(ref("StoredAccount")), parameters=[*filters, *_page()]
    )
    one = entry({"payload": ref("StoredAccount")})
    shown = _operation("Show an account", Scope.READ, one, parameters=[here], problems=(404,))
    gone = entry({"message": text(), "payload": entry({"id": text(), "emailAddress": text()})})
    deleted = _operation("Delete an account", Scope.WRITE, gone, parameters=[here], problems=(404,))
    return {
        "/v1/email-accounts": {"get": listed},
        "/v1/email-accounts/{account_id}": {"get": shown, "delete": deleted},
    }


def _other_paths() -> Schema:
    code = _path("code", "One of the codes.")
    said = {"raw": text("The reply as the server gave it."), "protocol": words(("smtp", "imap")), "stage": text()}
    pasted = entry({**said, "provider": text(), "host": text()}, optional=("protocol", "stage", "provider", "host"))
    explain = _operation(
        "Diagnose a pasted reply",
        Scope.READ,
        entry({"payload": ref("Explained")}),
        body={_JSON: {"schema": pasted}},
        problems=(400, *_BODY_PROBLEMS),
    )
    one = entry({"payload": ref("Diagnosis")})
    link = [_path("path", "As in reportURL."), _query("expires", whole()), _query("signature", text()), _BOM]
    report = _open("Download a finished report by its signed link", "text/csv", {"type": "string"}, parameters=link)
    report["responses"] |= {str(status): _problem(status) for status in (400, 403, 404, 503)}
    report["responses"]["403"]["description"] = "The link has expired or is not whole."
    report["responses"]["404"]["description"] = "The request was deleted, and its report with it."
    plain, state = {"type": "object"}, entry({"status": words(("ok", "unavailable"))})
    ready = _open("Whether calls can be served", _JSON, state)
    ready["responses"]["503"] = {"description": "Not now.", "content": _content(state)}
    return {
        "/v1/diagnoses": {"get": _operation("List every code", Scope.READ, page_of(ref("Diagnosis")))},
        "/v1/diagnoses/{code}": {
            "get": _operation("Explain a code", Scope.READ, one, parameters=[code], problems=(404,))
        },
        "/v1/diagnoses/explain": {"post": explain},
        "/v1/reports/{path}": {"get": report},
        "/openapi.json": {"get": _open("This document", _JSON, plain)},
        "/docs": {"get": _open("This document for people", "text/html", {"type": "string"})},
        "/healthz": {"get": _open("Whether the process lives", _JSON, state)},
        "/readyz": {"get": ready},
    }


def _operation(
    summary: str,
    scope: Scope,
    answer: Schema,
    *,
    kind: str = _JSON,
    parameters: list[Schema] | None = None,
    body: Schema | None = None,
    problems: tuple[int, ...] = (),
) -> dict[str, Any]:
    told = sorted({400, 401, 403, 429, 500, 503, *problems})
    operation: dict[str, Any] = {
        "summary": summary,
        "description": f"Needs a key with the scope `{scope}`.",
        "responses": {
            "200": {"description": "Done.", "content": _content(answer, kind)},
            **{str(status): _problem(status) for status in told},
        },
    }
    if parameters:
        operation["parameters"] = parameters
    if body:
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _open(summary: str, kind: str, answer: Schema, **more: Any) -> Schema:
    """Return an operation that needs no key."""
    responses = {"200": {"description": "Done.", "content": _content(answer, kind)}, "500": _problem(500)}
    return {"summary": summary, "security": [], **more, "responses": responses}


def _problem(status: int) -> Schema:
    content = _content(ref("Problem"), "application/problem+json")
    return {"description": _PROBLEMS[status], "content": content}


def _content(schema: Schema, kind: str = _JSON) -> Schema:
    return {kind: {"schema": schema}}


def _page() -> list[Schema]:
    limit = _query("limit", whole(minimum=1, maximum=MOST_PAGE_ROWS), "Entries in a page; 100 unless said.")
    return [limit, _query("cursor", text(), "nextCursor of the page before."), _query("offset", whole(minimum=0))]


def _query(name: str, schema: Schema, about: str = "") -> Schema:
    return {"name": name, "in": "query", "schema": schema, **({"description": about} if about else {})}


def _path(name: str, about: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": text(), "description": about}
