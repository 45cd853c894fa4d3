"""POST a connect request: what is answered, what is refused as a whole, and what only costs a row."""

import msgspec
import pytest

from app.report.payload import STATUS_PATH
from tests.api.asking import CONNECT, STATUS, Service, row

SENTENCE = (
    "The email accounts connection process has been initiated successfully. Please wait while we connect your email "
    "accounts. You may check the status using this API `/v1/email-accounts/connect/status/{}`."
)


async def test_the_answer_is_saleshandys_sentence_and_all_that_is_known(service: Service) -> None:
    answer = await service.connect(row("info"), row("sales"))
    request_id = answer.payload["requestId"]
    assert answer.status == 200
    assert answer.json["message"] == SENTENCE.format(request_id)
    assert answer.payload == {
        "requestId": request_id,
        "status": "queued",
        "total": 2,
        "accepted": 2,
        "invalid": 0,
        "duplicate": 0,
        "rejections": [],
        "ignoredColumns": [],
    }


async def test_the_location_is_where_the_status_is(service: Service) -> None:
    answer = await service.connect(row())
    assert answer.headers["Location"] == f"{STATUS_PATH}{answer.payload['requestId']}"
    status = await service.get(answer.headers["Location"])
    assert status.payload["requestId"] == answer.payload["requestId"]


async def test_identifiers_cannot_be_guessed_from_each_other(service: Service) -> None:
    first, second = await service.connected(row()), await service.connected(row())
    assert first != second
    assert first[15:] != second[15:]


async def test_lines_of_json_are_rows_too(service: Service) -> None:
    lines = b"\n".join(msgspec.json.encode(row(name)) for name in ("info", "sales")) + b"\n\n"
    answer = await service.ask("POST", CONNECT, data=lines, headers={"Content-Type": "application/x-ndjson"})
    assert (answer.status, answer.payload["total"]) == (200, 2)


async def test_a_charset_beside_the_type_is_fine(service: Service) -> None:
    body = msgspec.json.encode([row()])
    answer = await service.ask("POST", CONNECT, data=body, headers={"Content-Type": "application/json; charset=utf-8"})
    assert answer.status == 200


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("smtpPort", 70000, "range"),
        ("smtpPort", "many", "range"),
        ("smtpEncryption", "rot13", "value"),
        ("smtpEmailAddress", "no address", "format"),
        ("smtpPassword", "line\nbreak", "control_characters"),
        ("smtpHost", ["smtp.example.com"], "type"),
        ("imapHost", "not a host", "format"),
        ("smtp", "perhaps", "type"),
        ("smtpPassword", 12345, "type"),
    ],
)
async def test_a_bad_field_makes_its_row_invalid_and_no_other(
    service: Service, field: str, value: object, code: str
) -> None:
    answer = await service.connect(row("good"), row("bad", **{field: value}))
    payload = answer.payload
    assert (payload["total"], payload["accepted"], payload["invalid"]) == (2, 1, 1)
    (rejection,) = payload["rejections"]
    assert (rejection["row"], rejection["field"], rejection["code"]) == (2, field, code)
    assert field in rejection["message"]
    assert "line\nbreak" not in rejection["message"]


async def test_a_row_without_a_password_or_that_is_no_object_is_invalid(service: Service) -> None:
    answer = await service.connect(row(smtpPassword=None), "text", 7, None, [])
    assert answer.payload["invalid"] == 5
    assert [entry["row"] for entry in answer.payload["rejections"]][:2] == [1, 2]
    assert answer.payload["rejections"][0]["code"] == "missing"


async def test_the_first_of_a_mailbox_wins_and_the_rest_are_duplicates(service: Service) -> None:
    request_id = await service.connected(row("info"), row("INFO"), row("sales"), row("info"))
    payload = (await service.get(f"{CONNECT}/{request_id}/rows")).payload
    assert [entry["outcome"] for entry in payload["items"]] == [None, "duplicate", None, "duplicate"]
    assert [entry["duplicateOf"] for entry in payload["items"]] == [None, 1, None, 1]


async def test_duplicates_are_counted_and_named(service: Service) -> None:
    payload = (await service.connect(row("info"), row("info"))).payload
    assert (payload["accepted"], payload["duplicate"]) == (1, 1)
    (rejection,) = payload["rejections"]
    assert (rejection["row"], rejection["code"]) == (2, "duplicate")
    assert "Row 1" in rejection["message"]


async def test_no_more_than_a_hundred_rejections_are_listed(service: Service) -> None:
    payload = (await service.connect(*[row(f"n{n}", smtpPort=0) for n in range(120)])).payload
    assert (payload["invalid"], len(payload["rejections"])) == (120, 100)


async def test_unknown_columns_are_named_and_kept(service: Service) -> None:
    answer = await service.connect(row(favouriteColour="blue"))
    assert answer.payload["ignoredColumns"] == ["favouriteColour"]
    rows = await service.get(f"{CONNECT}/{answer.payload['requestId']}/rows")
    assert rows.payload["items"][0]["extra"] == {"favouriteColour": "blue"}


async def test_a_request_of_bad_rows_alone_waits_for_its_report_only(service: Service) -> None:
    request_id = await service.connected(row(smtpPort=0))
    status = (await service.get(f"{STATUS}/{request_id}")).payload
    assert (status["counts"]["pending"], status["counts"]["invalid"]) == (0, 1)
    assert (status["isCompleted"], status["reportURL"], status["progress"]) == (False, None, 99)


async def test_strict_refuses_all_for_one_bad_row(service: Service) -> None:
    answer = await service.connect(row("good"), row("bad", smtpPort=0), strict="true")
    assert (answer.status, answer.problem) == (422, "invalid-rows")
    (error,) = answer.json["errors"]
    assert (error["row"], error["field"], error["pointer"], error["code"]) == (2, "smtpPort", "#/1/smtpPort", "range")
    assert (await service.get(CONNECT)).payload["total"] == 0


async def test_strict_lets_good_rows_and_duplicates_pass(service: Service) -> None:
    answer = await service.connect(row("good"), row("good"), strict="true")
    assert (answer.status, answer.payload["duplicate"]) == (200, 1)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"   ", "empty"),
        (b"[]", "empty"),
        (b"{}", "array"),
        (b'"text"', "array"),
        (b"[", "not JSON"),
        (b"[{]", "not JSON"),
        (b"\xff\xfe[", "not JSON"),
        (b"[" * 100_000, "nested"),
    ],
)
async def test_a_body_that_is_no_array_of_accounts_is_refused_whole(service: Service, body: bytes, words: str) -> None:
    answer = await service.ask("POST", CONNECT, data=body, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.problem) == (400, "body")
    assert words in answer.json["detail"]


async def test_json_that_begins_with_a_byte_order_mark_is_read(service: Service) -> None:
    body = b"\xef\xbb\xbf" + msgspec.json.encode([row()])
    answer = await service.ask("POST", CONNECT, data=body, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.payload["accepted"]) == (200, 1)


@pytest.mark.parametrize("kind", ["application/xml", "application/x-www-form-urlencoded", "", "nonsense"])
async def test_other_media_types_are_refused(service: Service, kind: str) -> None:
    answer = await service.ask("POST", CONNECT, data=b"[]", headers={"Content-Type": kind})
    assert (answer.status, answer.problem) == (415, "content-type")
    assert "application/json" in answer.json["detail"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("unknown", "1"),
        ("save", "some"),
        ("onExisting", "replace"),
        ("autoCorrect", "perhaps"),
        ("strict", "2"),
        ("name", "x" * 201),
        ("name", "\x07bell"),
        ("callbackUrl", "https://hooks.example.com/"),
        ("Save", "all"),
    ],
)
async def test_unknown_parameters_and_values_are_refused(service: Service, name: str, value: str) -> None:
    answer = await service.connect(row(), **{name: value})
    assert (answer.status, answer.problem) == (400, "parameter")
    (error,) = answer.json["errors"]
    assert error["field"] == name
    assert name in error["message"]


async def test_a_parameter_given_twice_is_refused(service: Service) -> None:
    answer = await service.post(f"{CONNECT}?save=all&save=none", [row()])
    assert (answer.status, answer.problem) == (400, "parameter")


async def test_a_label_is_given_back(service: Service) -> None:
    request_id = await service.connected(row(), name="Spring list")
    assert (await service.get(f"{STATUS}/{request_id}")).payload["name"] == "Spring list"


async def test_no_answer_holds_a_password(service: Service) -> None:
    answer = await service.connect(row(smtpPassword="s3cret-horse"), row("x", smtpPassword="s3cret\x07", smtpPort=0))
    request_id = answer.payload["requestId"]
    rows = await service.get(f"{CONNECT}/{request_id}/rows")
    report = await service.get(f"{CONNECT}/{request_id}/report.csv")
    status = await service.get(f"{STATUS}/{request_id}")
    for body in (answer.body, rows.body, report.body, status.body):
        assert b"s3cret" not in body
