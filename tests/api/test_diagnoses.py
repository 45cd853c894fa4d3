"""What the codes mean, and what a pasted reply means."""

import pytest

from app.codes import Code
from tests.api.asking import Service

EXPLAIN = "/v1/diagnoses/explain"


async def test_every_code_is_listed_and_explained(service: Service) -> None:
    payload = (await service.get("/v1/diagnoses")).payload
    assert [entry["code"] for entry in payload["items"]] == [code.value for code in Code]
    assert (payload["total"], payload["nextCursor"]) == (len(Code), None)
    for entry in payload["items"]:
        one = await service.get(f"/v1/diagnoses/{entry['code']}")
        assert one.payload == entry
        assert entry["title"]
        assert entry["meaning"]


@pytest.mark.parametrize("code", ["nothing", "OK", "ok%20", "%00"])
async def test_what_is_no_code_is_not_there(service: Service, code: str) -> None:
    answer = await service.get(f"/v1/diagnoses/{code}")
    assert (answer.status, answer.problem) == (404, "not-found")


async def test_a_pasted_reply_is_explained(service: Service) -> None:
    raw = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant."
    payload = (await service.post(EXPLAIN, {"raw": raw, "provider": "o365"})).payload
    assert (payload["code"], payload["protocol"]) == ("smtp_auth_disabled", "smtp")
    assert payload["remedy"]
    assert payload["rule"]


async def test_the_protocol_is_guessed_or_said(service: Service) -> None:
    raw = "NO [AUTHENTICATIONFAILED] Authentication failed."
    guessed = (await service.post(EXPLAIN, {"raw": raw})).payload
    said = (await service.post(EXPLAIN, {"reply": raw, "protocol": "IMAP", "stage": "auth"})).payload
    assert (guessed["protocol"], guessed["code"]) == (said["protocol"], said["code"]) == ("imap", "invalid_credentials")


async def test_a_line_of_a_collection_may_be_sent_as_it_is(service: Service) -> None:
    body = {"id": "r1", "raw": "554 no", "protocol": "smtp", "stage": "greeting", "provider": None, "host": None}
    assert (await service.post(EXPLAIN, body)).payload["code"] == "ip_blocked"


async def test_words_that_mean_nothing_are_not_guessed_at(service: Service) -> None:
    payload = (await service.post(EXPLAIN, {"raw": "the cat sat on the mat", "provider": "no such one"})).payload
    assert payload["code"] == "unclassified"


async def test_a_hosts_name_stands_in_the_remedy(service: Service) -> None:
    body = {"raw": "[Errno 111] Connection refused", "host": "mail.example.com"}
    assert "mail.example.com" in (await service.post(EXPLAIN, body)).payload["remedy"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", ""),
        (b"[]", ""),
        (b'{"raw": 535}', ""),
        (b"\xff", ""),
        (b"[" * 50_000, ""),
        (b"{}", "raw"),
        (b'{"raw": "  "}', "raw"),
        (b'{"raw": "535", "protocol": "pop3"}', "protocol"),
        (b'{"raw": "535", "stage": "dinner"}', "stage"),
    ],
)
async def test_what_cannot_be_explained_is_refused(service: Service, body: bytes, field: str) -> None:
    answer = await service.ask("POST", EXPLAIN, data=body, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.problem) == (400, "body")
    assert [error["field"] for error in answer.json.get("errors", [])] == ([field] if field else [])
