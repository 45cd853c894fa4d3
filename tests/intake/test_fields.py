"""What fields are called, which are secret, and what a whole number looks like in a spreadsheet."""

import pytest

from app.intake.fields import (
    BOOLEAN_FIELDS,
    CARRIED_FIELDS,
    INTEGER_FIELDS,
    KNOWN_FIELDS,
    LONG_TEXT_FIELDS,
    NO,
    NUMBER_FIELDS,
    SECRET_FIELDS,
    TEXT_FIELDS,
    YES,
    kind_of,
    parse_whole,
    quote,
    smells_secret,
)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("993", 993),
        ("0", 0),
        ("0993", 993),
        ("993.0", 993),
        ("993.000", 993),
        ("9.93E+02", 993),
        ("5e2", 500),
        ("1,000", 1000),
        ("1,000,000.0", 1_000_000),
        ("", None),
        ("-1", None),
        ("993.5", None),
        ("9.935E+02", None),
        ("10,00", None),
        ("1.000", 1),
        ("nine", None),
        ("1e99", int(1e99)),
        ("9" * 16, None),
        ("993 ", None),
    ],
)
def test_whole_numbers_are_read_as_spreadsheets_write_them(text: str, number: int | None) -> None:
    assert parse_whole(text) == number


@pytest.mark.parametrize(
    "name",
    [
        *SECRET_FIELDS,
        *("Password", "IMAP Pass", "app_pwd", "client secret", "refreshToken", "Session Cookie", "2FA", "mfa_seed"),
        *("backup codes", "Recovery-Code", "api key", "SMTP Key", "OTP", "otp_seed", "email otp"),
    ],
)
def test_names_that_smell_of_a_secret_are_known(name: str) -> None:
    assert smells_secret(name)


@pytest.mark.parametrize("name", ["email", "smtpHost", "monkey business", "keyword", "notes", "externalId", "optOut"])
def test_other_names_do_not_smell(name: str) -> None:
    assert not smells_secret(name)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "null"),
        (True, "true or false"),
        (1, "a number"),
        (1.5, "a number"),
        ("a", "text"),
        ([], "a list"),
        ({}, "an object"),
    ],
)
def test_types_are_named_for_people(value: object, kind: str) -> None:
    assert kind_of(value) == kind


def test_long_texts_are_quoted_in_part() -> None:
    assert quote("a") == '"a"'
    assert quote("a" * 80) == f'"{"a" * 80}"'
    assert quote("a" * 81) == f'"{"a" * 80}…"'


def test_each_field_is_of_one_kind() -> None:
    kinds = (TEXT_FIELDS, INTEGER_FIELDS, NUMBER_FIELDS, BOOLEAN_FIELDS, frozenset({"tags", "metadata"}))
    assert sum(map(len, kinds)) == len(CARRIED_FIELDS)
    assert LONG_TEXT_FIELDS <= TEXT_FIELDS
    assert frozenset(SECRET_FIELDS) <= KNOWN_FIELDS
    assert not frozenset(SECRET_FIELDS) & CARRIED_FIELDS
    assert not YES & NO
