"""Pure: the shapes of bodies as JSON Schema, for the OpenAPI document (2020-12, as OpenAPI 3.1 has it)."""

from typing import Any, Final

from app.codes import Code
from app.intake.fields import BOOLEAN_FIELDS, INTEGER_FIELDS, NUMBER_FIELDS, TEXT_FIELDS
from app.model import AccountStatus, Encryption, Fault, Outcome, RequestStatus, SideStatus
from app.report.payload import STAGE_WORDS

Schema = dict[str, Any]

_ENCRYPTIONS: Final = ["ssl", "tls", "starttls", "none"]


def text(about: str = "", **more: Any) -> Schema:
    return _described({"type": "string", **more}, about)


def whole(about: str = "", **more: Any) -> Schema:
    return _described({"type": "integer", **more}, about)


def flag(about: str = "") -> Schema:
    return _described({"type": "boolean"}, about)


def many(items: Schema, about: str = "", **more: Any) -> Schema:
    return _described({"type": "array", "items": items, **more}, about)


def words(values: Any, about: str = "") -> Schema:
    return _described({"type": "string", "enum": [str(value) for value in values]}, about)


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def maybe(schema: Schema) -> Schema:
    """Return a schema that null passes too."""
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    wider = {**schema, "type": [schema["type"], "null"]}
    return {**wider, "enum": [*schema["enum"], None]} if "enum" in schema else wider


def entry(properties: dict[str, Schema], about: str = "", *, optional: tuple[str, ...] = (), **more: Any) -> Schema:
    """Return an object whose properties are all there, but for those in `optional`."""
    required = [name for name in properties if name not in optional]
    return _described({"type": "object", "properties": properties, "required": required, **more}, about)


def page_of(items: Schema, about: str = "") -> Schema:
    """Return the answer that holds one page of a list."""
    payload = entry({"items": many(items), "nextCursor": maybe(text()), "total": whole(minimum=0)})
    return entry({"payload": payload}, about)


def _described(schema: Schema, about: str) -> Schema:
    return {**schema, "description": about} if about else schema


def _time(about: str = "") -> Schema:
    return text(about, format="date-time")


def _account_fields() -> dict[str, Schema]:
    fields: dict[str, Schema] = {
        "emailServiceProvider": text("gmail, gsuite, microsoft, o365, outlook, yahoo, zoho, …, or other"),
        "externalId": text("Your own id of the account; given back."),
        "accessToken": text("OAuth 2 access token for both sides, in place of passwords.", writeOnly=True),
    }
    for side, verb in (("smtp", "sends"), ("imap", "reads")):
        fields |= {
            f"{side}EmailAddress": text(f"The address of the side that {verb}."),
            f"{side}UserName": text("The address unless given."),
            f"{side}Password": text("The other side's unless given.", writeOnly=True),
            f"{side}AccessToken": text("OAuth 2 access token.", writeOnly=True),
            f"{side}Host": text("Found from the provider or the domain unless given."),
            f"{side}Port": {"type": ["integer", "string"], "description": "1 to 65535."},
            f"{side}Encryption": words(_ENCRYPTIONS, "tls means starttls, but on ports 465 and 993 ssl."),
            side: flag(f"false: leave {side.upper()} out."),
        }
    return fields | _carried_fields("Carried along and given back.")


def _carried_fields(about: str = "") -> dict[str, Schema]:
    fields = {name: text(about) for name in sorted(TEXT_FIELDS)}
    fields |= {name: whole(about) for name in sorted(INTEGER_FIELDS)}
    fields |= {name: _described({"type": "number"}, about) for name in sorted(NUMBER_FIELDS)}
    fields |= {name: flag(about) for name in sorted(BOOLEAN_FIELDS)}
    return fields | {"tags": many(text(), about), "metadata": _described({"type": "object"}, about)}


def _counts() -> Schema:
    names = ("total", "pending", "connected", "failed", "invalid", "duplicate", "skipped", "cancelled")
    return entry({name: whole(minimum=0) for name in names}, "total is the sum of all the others, at every moment.")


def _request() -> dict[str, Schema]:
    return {
        "requestId": text(),
        "name": text(),
        "kind": words(("connect", "retry", "reconnect", "single")),
        "retryOf": maybe(text()),
        "status": words(RequestStatus),
        "isCompleted": flag("No row is pending and the report is written."),
        "reportProblem": maybe(text("Why the report is not written yet, where it cannot be; null: no trouble.")),
        "createdAt": _time(),
        "startedAt": maybe(_time()),
        "finishedAt": maybe(_time()),
        "expiresAt": _time("The request and its report are deleted then."),
        "progress": whole(minimum=0, maximum=100),
        "counts": ref("Counts"),
    }


def _side() -> Schema:
    timings = entry({word: maybe(whole(minimum=0)) for word in STAGE_WORDS.values()}, "Milliseconds of each stage.")
    return entry(
        {
            "status": words(SideStatus),
            "code": ref("Code"),
            "title": text(),
            "remedy": text("What to do, in at most two sentences."),
            "fault": maybe(words([fault for fault in Fault if fault], "Who must act.")),
            "retryable": flag(),
            "stage": maybe(words(STAGE_WORDS.values(), "Where it failed.")),
            "reply": text("The server's own words, secrets removed."),
            "host": text(),
            "port": maybe(whole()),
            "encryption": maybe(words(Encryption)),
            "address": maybe(text("The IP address that was dialled.")),
            "tlsVersion": maybe(text()),
            "certificateNames": many(text()),
            "certificateExpiresAt": maybe(_time()),
            "mechanism": maybe(text()),
            "timings": timings,
            "attempts": whole(minimum=0),
            "logins": whole("How many times credentials were sent.", minimum=0),
            "corrections": many(ref("Correction")),
            "warning": maybe(text()),
            "rule": text("Which rule of the diagnosis decided."),
        }
    )


def _row() -> Schema:
    return entry(
        {
            "row": whole(minimum=1),
            "externalId": text(),
            "emailAddress": text("Of an invalid row without one: what was written there, unless it may be a secret."),
            "emailServiceProvider": text(),
            "outcome": maybe(words(Outcome)),
            "accountId": maybe(text()),
            "smtp": maybe(ref("Side")),
            "imap": maybe(ref("Side")),
            "corrections": many(ref("Correction")),
            "errors": many(ref("RowError")),
            "duplicateOf": maybe(whole()),
            "sources": entry({"smtp": {"type": "object"}, "imap": {"type": "object"}}, "Where each value came from."),
            "attempts": whole(minimum=0),
            "durationMs": whole(minimum=0),
            "checkedAt": maybe(_time()),
            "extra": {"type": "object", "description": "Your own columns."},
        }
    )


def _account_side() -> Schema:
    return entry(
        {
            "userName": text(),
            "host": text(),
            "port": whole(),
            "encryption": maybe(words(Encryption)),
            "code": maybe(text()),
        }
    )


def _stored_account() -> Schema:
    named = {name: text() for name in ("id", "emailAddress", "externalId", "emailServiceProvider")}
    named["status"] = words(AccountStatus)
    sides = {"smtp": maybe(_account_side()), "imap": maybe(_account_side()), "errorCount": whole()}
    moments = ("lastCheckTime", "sendErroredAt", "sendSuccessAt", "syncErroredAt", "syncSuccessAt")
    times = {name: maybe(_time()) for name in (*moments, "createdOn", "updatedOn")}
    carried = _carried_fields()
    return entry({**named, **sides, **times, **carried}, optional=tuple(carried))


def _problem() -> Schema:
    fields = {name: text() for name in ("type", "title", "detail", "message", "instance", "requestTraceId")}
    more = {
        "errors": many(ref("RowError"), "Where the input is at fault."),
        "limit": whole("Of too many rows or bytes: how many may be."),
        "queued": whole("Of too many rows waiting: how many there are."),
        "rows": many(whole(), "Of secrets that are gone: whose."),
    }
    return entry({**fields, "status": whole(), **more}, "RFC 9457.", optional=tuple(more))


def _single() -> Schema:
    error = entry({"error": maybe(text())})
    head = {"status": words((), "1: verified, 0: not.") | {"type": "integer", "enum": [0, 1]}}
    head |= {"smtpConnection": error, "imapConnection": error}
    payload = {
        **head,
        "requestId": text(),
        "id": maybe(text()),
        "emailAddress": text(),
        "outcome": words(Outcome),
        "smtp": maybe(ref("Side")),
        "imap": maybe(ref("Side")),
        "corrections": many(ref("Correction")),
        "errors": many(ref("RowError"), "Why it was not checked."),
    }
    return entry({"message": text(), **head, "payload": entry(payload)})


def make_schemas() -> dict[str, Schema]:
    """Return every shape that has a name."""
    cause = {
        "code": ref("Code"),
        "protocol": words(("smtp", "imap")),
        "host": text(),
        "domain": maybe(text()),
        "count": whole(minimum=1),
        "title": text(),
        "remedy": text(),
        "fault": maybe(text()),
        "retryable": flag(),
        "exampleRow": whole(minimum=1),
        "exampleReply": maybe(text("What the server said in that row.")),
    }
    diagnosis = {"code": ref("Code"), **{name: text() for name in ("title", "group", "meaning", "remedy")}}
    diagnosis |= {"fault": maybe(text()), "retryable": flag(), "contextIoStatus": maybe(text())}
    status = {
        **_request(),
        "reportURL": maybe(text("Opens without a key; null until completed.")),
        "etaSeconds": maybe(whole(minimum=0)),
        "errorSummary": many(
            ref("Cause"), "Failed sides by cause and server, most first; a row that fails on both counts in each."
        ),
        "links": {"type": "object", "additionalProperties": {"type": "string"}},
    }
    accepted = {
        "requestId": text(),
        "status": words(RequestStatus),
        **{name: whole(minimum=0) for name in ("total", "accepted", "invalid", "duplicate")},
        "rejections": many(ref("RowError"), "The first 100."),
        "ignoredColumns": many(text()),
    }
    explained = {"code": ref("Code"), **{name: text() for name in ("title", "meaning", "remedy", "protocol", "rule")}}
    explained |= {"fault": maybe(text()), "retryable": flag(), "helpPage": maybe(text())}
    row_error = {"row": whole(), "field": text(), "pointer": text(), "code": text(), "message": text()}
    return {
        "Account": {"type": "object", "properties": _account_fields(), "additionalProperties": True},
        "Accepted": entry({"message": text(), "payload": entry(accepted)}),
        "Cause": entry(cause),
        "Code": words(Code, "GET /v1/diagnoses/{code} explains each."),
        "Correction": entry({name: text() for name in ("field", "given", "used", "reason")}),
        "Counts": _counts(),
        "Diagnosis": entry({**diagnosis, "helpPages": many({"type": "object"})}),
        "Explained": entry(explained),
        "Problem": _problem(),
        "Request": entry(_request()),
        "Row": _row(),
        "RowError": entry(row_error, optional=("row", "pointer")),
        "Side": _side(),
        "Status": entry(status),
        "Single": _single(),
        "StoredAccount": _stored_account(),
    }
