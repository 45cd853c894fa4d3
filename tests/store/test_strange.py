"""Whatever intake lets through can be stored: no text in one row refuses the request of all."""

import json
from itertools import chain

import pytest

from app.intake.body import read_entries, read_records, split_json_array
from app.intake.fields import NOT_STORED
from app.store.rows import list_row_results
from tests.store.ledger import Space

NASTY = [
    "nul \\u0000 in it",
    "\\ud83d\\ude00 a whole pair",
    "\\u202e right to left",
    "\\u2028 line",
    "é" * 3000,
    "\\\\x00 and \\\\u0000 as words",
    "%s $1 ' ; --",
]
FIELDS = [
    "smtpEmailAddress", "imapEmailAddress", "smtpUserName", "imapUserName", "smtpPassword", "imapPassword", "smtpHost",
    "imapHost", "smtpPort", "smtpEncryption", "emailServiceProvider", "fromFirstName", "fromName", "replyTo",
    "externalId", "tags", "metadata", "signature", "bcc", "dailyLimit", "accessToken", "Unknown column", "imap",
]  # fmt: skip
SHAPES = ['"{}"', '["{}"]', '{{"{}": "{}"}}', '[[[{{"a": ["{}"]}}]]]']


def make_body() -> bytes:
    """Return entries in which each field holds each nasty text, as a text, a list, a mapping and deeper."""
    entries: list[str] = []
    for field in [*FIELDS, *NASTY[:3]]:
        for text in NASTY:
            for shape in SHAPES:
                number = len(entries)
                good = {
                    "smtpEmailAddress": f"u{number}@example.com",
                    "smtpPassword": "right horse",
                    "smtpHost": "smtp.example.com",
                    "imapHost": "imap.example.com",
                }
                good.pop(field, None)
                value = shape.format(text, text)
                entries.append(json.dumps(good)[:-1] + f', "{field}": {value}}}')
    return f"[{','.join(entries)}]".encode()


@pytest.mark.parametrize("numbers", ["1e400", "-0.0", "1" * 400, "null", "true", "[]", "{}", "[null, {}]"])
async def test_numbers_and_nothings_can_be_stored(space: Space, numbers: str) -> None:
    head = '[{"smtpEmailAddress": "a@example.com", "smtpPassword": "x", "smtpHost": "h.example.com"'
    body = f'{head}, "metadata": {{"n": {numbers}}}, "tags": {numbers}, "dailyLimit": {numbers}, "Other": {numbers}}}]'
    rows = [row for part in read_entries([*chain(*split_json_array(body.encode()))]) for row in part]
    assert len(await list_row_results(space.db, await space.add(rows))) == 1


async def test_half_of_a_pair_can_be_stored(space: Space) -> None:
    """JSON cannot bring it in, a sheet in an odd encoding might."""
    half = "lone \ud800 half"
    good: dict[str, object] = {"smtpEmailAddress": "a@example.com", "smtpPassword": "x", "smtpHost": "h.example.com"}
    records = [{**good, field: value} for field in [*FIELDS, half] for value in (half, [half], {half: {half: half}})]
    rows = [row for part in read_records(records) for row in part]
    assert len(await list_row_results(space.db, await space.add(rows))) == len(rows)


async def test_nasty_texts_can_be_stored_wherever_they_stand(space: Space) -> None:
    rows = [row for part in read_entries([*chain(*split_json_array(make_body()))]) for row in part]
    assert len(rows) > 600
    assert any(not row.errors for row in rows)
    request_id = await space.add(rows)
    stored = await list_row_results(space.db, request_id, limit=len(rows) + 1)
    assert [row.row for row in stored] == [row.row for row in rows]
    for row in stored:
        assert not NOT_STORED.search(row.email + row.external_id + json.dumps(row.extra, ensure_ascii=False))
