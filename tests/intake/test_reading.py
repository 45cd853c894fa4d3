"""Each kind of field takes what people put into it, or says in words what is wrong; secrets are never quoted."""

import pytest

from app.intake.fields import LONG_TEXT_LIMIT, SECRET_LIMIT, TEXT_LIMIT
from app.intake.reading import Reading


def read(value: object, name: str = "field") -> Reading:
    return Reading(7, {name: value})


def failure_of(reading: Reading) -> tuple[str, str]:
    (error,) = reading.errors
    assert error.row == 7
    assert error.message.startswith(error.field)
    assert error.message.endswith(".")
    return error.field, error.code


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b", "a b"),
        ("  a b ", "a b"),
        ("\u200b a\u00a0b \ufeff", "a\u00a0b"),
        (42, "42"),
        (1.5, "1.5"),
        (None, ""),
        ("", ""),
    ],
)
def test_text_is_trimmed_and_numbers_pass_as_text(value: object, text: str) -> None:
    reading = read(value)
    assert reading.text("field") == text
    assert reading.text("absent") == ""
    assert reading.errors == []


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (True, "type"),
        ([], "type"),
        ({}, "type"),
        ("x" * (TEXT_LIMIT + 1), "too_long"),
        ("a\nb", "control_characters"),
        ("a\x00b", "control_characters"),
        ("a\x7fb", "control_characters"),
        ("a\ud800b", "control_characters"),
    ],
)
def test_text_that_cannot_stand_is_told(value: object, code: str) -> None:
    reading = read(value)
    assert reading.text("field") == ""
    assert failure_of(reading) == ("field", code)


def test_a_signature_may_be_long_and_have_lines() -> None:
    text = "Best regards,\n" + "x" * 2000
    assert read(text, "signature").text("signature") == text
    reading = read("x" * (LONG_TEXT_LIMIT + 1), "signature")
    assert reading.text("signature") == ""
    assert failure_of(reading) == ("signature", "too_long")
    reading = read("a\nb\x00", "signature")
    assert reading.text("signature") == ""
    assert failure_of(reading) == ("signature", "control_characters")


@pytest.mark.parametrize(("value", "word"), [(True, "true"), (False, "false"), (" SSL ", "SSL"), (None, "")])
def test_true_and_false_are_words_too(value: object, word: str) -> None:
    assert read(value).word("field") == word


@pytest.mark.parametrize("value", ["hunter2", " with blanks ", "pässword", "a\u00a0b", "x" * SECRET_LIMIT, ""])
def test_a_secret_stays_just_as_it_stands(value: str) -> None:
    reading = read(value)
    assert reading.secret("field") == value
    assert reading.secret("absent") == ""
    assert reading.errors == []


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (12345678, "type"),
        (True, "type"),
        (["hunter2"], "type"),
        ("hunter2" * SECRET_LIMIT, "too_long"),
        ("hunter2\n", "control_characters"),
        ("hunter2\x00", "control_characters"),
        ("hunter2\udfff", "control_characters"),
    ],
)
def test_a_secret_that_cannot_be_used_is_told_and_not_quoted(value: object, code: str) -> None:
    reading = read(value)
    assert reading.secret("field") == ""
    assert failure_of(reading) == ("field", code)
    assert "hunter2" not in reading.errors[0].message
    assert "12345678" not in reading.errors[0].message


def test_an_address_is_read_or_told() -> None:
    assert read(" Sales@Example.COM ").address("field") == "Sales@example.com"
    assert read("").address("field") == ""
    reading = read("sales at example")
    assert reading.address("field") == ""
    assert failure_of(reading) == ("field", "format")


@pytest.mark.parametrize("value", [993, "993", " 993 ", "\u00a0993"])
def test_a_port_is_a_whole_number(value: object) -> None:
    reading = read(value)
    assert reading.port("field") == 993
    assert reading.port("absent") == 0
    assert reading.errors == []
    assert reading.corrections == []


@pytest.mark.parametrize("value", [None, "", "  "])
def test_no_port_is_zero(value: object) -> None:
    reading = read(value)
    assert reading.port("field") == 0
    assert reading.errors == []


@pytest.mark.parametrize("value", ["993.0", 993.0, "9.93E+02", "0993"])
def test_a_port_from_a_spreadsheet_is_mended_and_told(value: object) -> None:
    reading = read(value)
    assert reading.port("field") == 993
    (told,) = reading.corrections
    assert (told.given, told.used) == (str(value), "993")


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (True, "type"),
        ([993], "type"),
        (0, "range"),
        (-1, "range"),
        (65536, "range"),
        ("imap", "range"),
        (993.5, "range"),
        (10**400, "range"),
    ],
)
def test_what_is_no_port_is_told(value: object, code: str) -> None:
    reading = read(value)
    assert reading.port("field") == 0
    assert failure_of(reading) == ("field", code)


@pytest.mark.parametrize(("value", "number"), [(50, 50), ("50", 50), (" 50.0 ", 50), ("1,000", 1000), ("", None)])
def test_whole_numbers_are_read(value: object, number: int | None) -> None:
    reading = read(value)
    assert reading.whole("field") == number
    assert reading.errors == []


@pytest.mark.parametrize("value", [True, -1, 1.5, "many", [], {}])
def test_what_is_no_whole_number_is_told(value: object) -> None:
    reading = read(value)
    assert reading.whole("field") is None
    assert failure_of(reading) == ("field", "type")


@pytest.mark.parametrize(
    ("value", "number"), [(1.5, 1.5), ("1.5", 1.5), (" -2 ", -2.0), (3, 3.0), (None, None), ("", None), (" ", None)]
)
def test_numbers_are_read(value: object, number: float | None) -> None:
    reading = read(value)
    assert reading.number("field") == number
    assert reading.errors == []


@pytest.mark.parametrize("value", [True, "half", "nan", "inf", 1e15, 10**400, [], {}])
def test_what_is_no_number_is_told(value: object) -> None:
    reading = read(value)
    assert reading.number("field") is None
    assert failure_of(reading) == ("field", "type")


@pytest.mark.parametrize(
    ("value", "flag"),
    [
        *((True, True), ("yes", True), (" ON ", True), (1, True), ("TRUE", True)),
        *((False, False), ("no", False), ("off", False), (0, False), ("False", False)),
        *((None, None), ("", None), (" ", None)),
    ],
)
def test_flags_are_read_in_the_words_people_use(value: object, flag: bool | None) -> None:
    reading = read(value)
    assert reading.flag("field") is flag
    assert reading.errors == []


@pytest.mark.parametrize("value", ["perhaps", 2, 1.0, [], {}])
def test_what_is_no_flag_is_told(value: object) -> None:
    reading = read(value)
    assert reading.flag("field") is None
    assert failure_of(reading) == ("field", "type")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(None, True), (True, True), ({"status": "ok"}, True), ("", True), (False, False), ("no", False)],
)
def test_a_side_is_wanted_unless_it_is_switched_off(value: object, wanted: bool) -> None:
    reading = read(value, "imap")
    assert reading.switch("imap") is wanted
    assert reading.switch("smtp") is True
    assert reading.errors == []


def test_whether_a_field_has_failed_can_be_asked() -> None:
    reading = read(True, "smtpHost")
    reading.text("smtpHost")
    assert reading.has_failed("imapHost", "smtpHost")
    assert not reading.has_failed("imapHost")


def test_no_cell_is_printed() -> None:
    assert "zq7-Kx9-wv3" not in repr(Reading(7, {"smtpPassword": "zq7-Kx9-wv3"}))
