"""A body becomes rows in order; one that cannot be read refuses no other."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.intake.body import (
    SLICE_ROWS,
    STEP_BYTES,
    BodyError,
    list_columns,
    mark_duplicates,
    read_entries,
    read_records,
    split_json_array,
    split_ndjson,
)
from app.model import Row

GOOD = {"smtpEmailAddress": "sales@gmail.com", "smtpPassword": "hunter2"}


def entries_of(body: bytes, step_bytes: int = STEP_BYTES) -> list[msgspec.Raw]:
    return [entry for part in split_json_array(body, step_bytes) for entry in part]


def rows_of(body: bytes) -> list[Row]:
    return [row for part in read_entries(entries_of(body)) for row in part]


def lines_of(body: bytes) -> list[bytes]:
    return [line for part in split_ndjson(body) for line in part]


def rows_of_lines(body: bytes) -> list[Row]:
    return [row for part in read_entries(lines_of(body)) for row in part]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b" \r\n\t", "empty"),
        (b"{}", "must be a JSON array"),
        (b"5", "must be a JSON array"),
        (b"null", "must be a JSON array"),
        (b'"hunter2"', "must be a JSON array"),
        (b"[]", "array is empty"),
        (b"[1,", "not JSON"),
        (b"[1] 2", "not JSON"),
        (b"email,password", "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_body_that_is_no_array_is_refused_with_a_reason(body: bytes, words: str) -> None:
    with pytest.raises(BodyError, match=words) as caught:
        rows_of(body)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("comma", [",", " ,\r\n\t"])
def test_a_long_array_is_split_step_by_step(comma: str) -> None:
    entries = [json.dumps({**GOOD, "externalId": str(number)}) for number in range(100)]
    parts = list(split_json_array(f" [ {comma.join(entries)} ] ".encode(), 1000))
    assert len(parts) > 5
    assert [bytes(entry).decode() for part in parts for entry in part] == entries


_WALLS = st.sampled_from(["},{", '"},{"', "} , {", "\\", "[{}", "é"])
_ENTRY = st.recursive(
    st.one_of(st.none(), st.integers(), _WALLS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_WALLS, inner, max_size=4)),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.lists(_ENTRY, min_size=1, max_size=12), st.integers(0, 60))
def test_no_step_ends_within_an_entry(entries: list[object], step_bytes: int) -> None:
    found = entries_of(json.dumps(entries, ensure_ascii=False).encode(), step_bytes)
    assert [json.loads(bytes(entry)) for entry in found] == entries


@settings(deadline=None)
@given(st.lists(st.sampled_from(["{}", " ", "", "\r", '{"a": "é"}', "x" * 40]), max_size=12), st.integers(0, 60))
def test_no_step_ends_within_a_line(lines: list[str], step_bytes: int) -> None:
    body = "\n".join(lines).encode()
    wanted = [line for line in body.split(b"\n") if line.strip()]
    if wanted:
        assert [line for part in split_ndjson(body, step_bytes) for line in part] == wanted
        assert len(list(split_ndjson(body * 20, 1))) > 1 or b"\n" not in body
    else:
        with pytest.raises(BodyError, match="empty"):
            list(split_ndjson(body, step_bytes))


@pytest.mark.parametrize("wrong", ["}", "", "{]", "]", "[{", "{} {}", "nul"])
def test_what_breaks_an_array_late_is_told_as_if_it_were_split_at_once(wrong: str) -> None:
    body = f"[{json.dumps(GOOD)},{json.dumps(GOOD)},{wrong},{json.dumps(GOOD)}]".encode()
    told = []
    for step_bytes in (10, len(body)):
        with pytest.raises(BodyError) as caught:
            entries_of(body, step_bytes)
        told.append(str(caught.value))
    assert told[0] == told[1]
    assert "byte" in told[0]


def test_a_byte_order_mark_does_not_matter() -> None:
    assert rows_of(b"\xef\xbb\xbf" + json.dumps([GOOD]).encode())[0].errors == ()
    assert rows_of_lines(b"\xef\xbb\xbf" + json.dumps(GOOD).encode())[0].errors == ()


def test_rows_come_in_slices_in_order_numbered_from_one() -> None:
    body = json.dumps([{**GOOD, "externalId": str(number)} for number in range(SLICE_ROWS * 2 + 1)]).encode()
    slices = list(read_entries(entries_of(body)))
    assert [len(part) for part in slices] == [SLICE_ROWS, SLICE_ROWS, 1]
    rows = [row for part in slices for row in part]
    assert [row.row for row in rows] == list(range(1, len(rows) + 1))
    assert [row.external_id for row in rows] == [str(number) for number in range(len(rows))]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("[]", "not a list"),
        ('"hunter2"', "not text"),
        ("true", "not true or false"),
        ("5", "not a number"),
        ("5.5", "not a number"),
        ("null", "not null"),
    ],
)
def test_an_entry_that_is_no_object_is_an_invalid_row_among_good_ones(entry: str, words: str) -> None:
    first, bad, last = rows_of(f"[{json.dumps(GOOD)}, {entry}, {json.dumps(GOOD)}]".encode())
    assert (first.errors, last.errors, last.row) == ((), (), 3)
    (error,) = bad.errors
    assert (error.row, error.field, error.code) == (2, "", "type")
    assert words in error.message
    assert "hunter2" not in error.message


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"smtpPassword": "hunter2"', "not JSON"),
        (b"sales@example.com,hunter2", "not JSON"),
        (b'{"smtpPassword": "hunter2\xff"}', "not JSON"),
        (b'{"a":' * 10_000, "nested too deeply"),
        (b'{"a": ' + b"1" * 5000 + b"}", "not JSON"),
    ],
)
def test_a_line_that_is_no_json_is_an_invalid_row_among_good_ones(line: bytes, words: str) -> None:
    good = json.dumps(GOOD).encode()
    first, bad, last = rows_of_lines(good + b"\r\n\n" + line + b"\n  \n" + good + b"\n")
    assert (first.errors, last.errors, last.row) == ((), (), 3)
    (error,) = bad.errors
    assert words in error.message
    assert "hunter2" not in error.message


def test_an_entry_nested_too_deeply_is_an_invalid_row() -> None:
    good = json.dumps(GOOD)
    body = f"[{good},{'[' * 900 + ']' * 900}]".encode()
    assert [bool(row.errors) for row in rows_of(body)] == [False, True]


def test_an_entry_that_is_not_utf_8_is_an_invalid_row() -> None:
    (row,) = rows_of(b'[{"fromName": "\xff"}]')
    assert [(error.code, error.message) for error in row.errors] == [("type", "Row 1 is not JSON: not UTF-8.")]


@pytest.mark.parametrize("body", [b"", b"\n\n", b" \r\n"])
def test_no_lines_are_refused(body: bytes) -> None:
    with pytest.raises(BodyError, match="empty"):
        lines_of(body)


def test_records_of_a_sheet_become_rows_in_slices() -> None:
    records: list[dict[str, object]] = [{**GOOD, "externalId": number} for number in range(SLICE_ROWS + 1)]
    slices = list(read_records(records))
    assert [len(part) for part in slices] == [SLICE_ROWS, 1]
    assert slices[1][0].row == SLICE_ROWS + 1
    assert slices[1][0].external_id == str(SLICE_ROWS)


def test_the_same_mailbox_twice_is_marked_and_the_first_one_stands() -> None:
    bad = {"smtpEmailAddress": "sales@gmail.com"}
    other = {**GOOD, "smtpEmailAddress": "info@gmail.com"}
    again = {**GOOD, "smtpEmailAddress": " SALES@Gmail.com"}
    slices = read_records([dict(entry) for entry in (bad, GOOD, other, again, bad, again)])
    marked = mark_duplicates(row for part in slices for row in part)
    assert [row.duplicate_of for row in marked] == [0, 0, 0, 2, 0, 2]


def test_duplicates_are_found_across_slices() -> None:
    first: dict[str, int] = {}
    records: list[dict[str, object]] = [dict(GOOD) for _ in range(SLICE_ROWS + 1)]
    marked = [row for part in read_records(records) for row in mark_duplicates(part, first)]
    assert [row.duplicate_of for row in marked] == [0, *[1] * SLICE_ROWS]


def test_unknown_columns_are_listed_as_they_were_first_seen() -> None:
    records: list[dict[str, object]] = [{**GOOD, "B": 1}, {**GOOD, "A": 1, "B": 2}, {**GOOD, "old password": "x"}]
    assert list_columns(row for part in read_records(records) for row in part) == ["B", "A"]


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_rows_or_refused(body: bytes) -> None:
    for read in (rows_of, rows_of_lines):
        try:
            rows = read(body)
        except BodyError as error:
            assert str(error).endswith(".")
        else:
            assert [row.row for row in rows] == list(range(1, len(rows) + 1))


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=4), min_size=1, max_size=4))
def test_both_shapes_of_one_list_read_alike(entries: list[dict[str, str]]) -> None:
    lines = b"\n".join(msgspec.json.encode(entry) for entry in entries)
    assert rows_of_lines(lines) == rows_of(msgspec.json.encode(entries))
