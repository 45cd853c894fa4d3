"""One entry becomes one row: filled as far as can be, or invalid with field and reason."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.intake.fields import KNOWN_FIELDS
from app.intake.row import broken_row, not_an_object, read_row, warm_up
from app.model import Encryption, Row, Secret, Source

SSL, STARTTLS = Encryption.SSL, Encryption.STARTTLS

FULL: dict[str, object] = {
    "smtpEmailAddress": "sales@example.com",
    "smtpPassword": "smtp-secret",
    "smtpHost": "smtp.example.com",
    "smtpPort": 465,
    "imapPassword": "imap-secret",
    "imapHost": "imap.example.com",
    "imapPort": 993,
}


def read(**values: object) -> Row:
    return read_row({**FULL, **values}, 1)


def failures_of(row: Row) -> list[tuple[str, str]]:
    assert all(error.row == row.row for error in row.errors)
    return [(error.field, error.code) for error in row.errors]


def test_a_full_row_is_taken_as_it_stands() -> None:
    warm_up()
    row = read_row({**FULL, "externalId": " 17 ", "fromName": "Sales", "Team": "north"}, 5)
    assert row.errors == ()
    assert row.corrections == ()
    assert (row.row, row.email, row.external_id, row.provider) == (5, "sales@example.com", "17", "")
    assert row.pace_key == "example.com"
    smtp, imap = row.smtp, row.imap
    assert (smtp.host, smtp.port, smtp.encryption) == ("smtp.example.com", 465, SSL)
    assert (imap.host, imap.port, imap.encryption) == ("imap.example.com", 993, SSL)
    assert smtp.username == imap.username == smtp.address == imap.address == "sales@example.com"
    assert row.secrets.smtp == Secret("smtp-secret")
    assert row.secrets.imap == Secret("imap-secret")
    assert row.details == {"fromName": "Sales"}
    assert row.extra == {"Team": "north"}
    assert smtp.sources["username"] is imap.sources["username"] is Source.ADDRESS
    assert smtp.sources["password"] is imap.sources["password"] is Source.ROW


def test_one_password_and_one_user_name_serve_both_sides() -> None:
    row = read_row({"smtpEmailAddress": "sales@gmail.com", "smtpPassword": "hunter2", "imapUserName": "boss"}, 1)
    assert row.errors == ()
    assert row.secrets.smtp == row.secrets.imap == Secret("hunter2")
    assert (row.smtp.username, row.imap.username) == ("boss", "boss")
    assert row.smtp.sources["username"] is Source.OTHER_SIDE
    assert row.imap.sources["username"] is Source.ROW
    assert row.smtp.sources["password"] is Source.ROW
    assert row.imap.sources["password"] is Source.OTHER_SIDE


@pytest.mark.parametrize("provider", ["gmail", "sendgrid"])
def test_a_sides_own_user_name_goes_before_all_others(provider: str) -> None:
    row = read(emailServiceProvider=provider, smtpUserName=" own ", imapUserName="other")
    assert (row.smtp.username, row.imap.username) == ("own", "other")
    assert row.smtp.sources["username"] is row.imap.sources["username"] is Source.ROW


def test_the_imap_password_serves_smtp_too() -> None:
    row = read_row({"imapEmailAddress": "sales@gmail.com", "imapPassword": "hunter2"}, 1)
    assert row.errors == ()
    assert row.email == row.smtp.address == "sales@gmail.com"
    assert row.secrets.smtp == Secret("hunter2")
    assert row.smtp.sources["password"] is Source.OTHER_SIDE


def test_the_same_password_written_twice_is_the_rows_own_twice() -> None:
    row = read(smtpPassword="same", imapPassword="same")
    assert row.smtp.sources["password"] is row.imap.sources["password"] is Source.ROW


def test_each_side_may_have_its_own_address() -> None:
    row = read(imapEmailAddress="orders@example.com")
    assert (row.email, row.smtp.address, row.imap.address) == (
        "sales@example.com",
        "sales@example.com",
        "orders@example.com",
    )
    assert row.imap.username == "orders@example.com"


@pytest.mark.parametrize("name", ["smtpUserName", "imapUserName"])
def test_a_user_name_that_is_an_address_names_the_account(name: str) -> None:
    row = read(smtpEmailAddress=None, **{name: "Sales@Example.com"})
    assert row.errors == ()
    assert row.email == "Sales@example.com"


def test_a_row_without_any_address_is_invalid() -> None:
    assert failures_of(read(smtpEmailAddress="", smtpUserName="sales")) == [("smtpEmailAddress", "missing")]
    assert failures_of(read_row({}, 1)) == [("smtpEmailAddress", "missing"), ("smtpPassword", "missing")]


def test_an_address_that_is_none_is_told_once() -> None:
    row = read(smtpEmailAddress="sales at example", imapEmailAddress="sales at example", smtpUserName="sales@a.example")
    assert failures_of(row) == [("smtpEmailAddress", "format")]
    row = read(imapEmailAddress="orders at example")
    assert failures_of(row) == [("imapEmailAddress", "format")]


def test_a_side_that_is_switched_off_needs_nothing_and_keeps_nothing() -> None:
    row = read_row(
        {"smtpEmailAddress": "sales@gmail.com", "smtpPassword": "hunter2", "imapPassword": "x", "imap": False}, 1
    )
    assert row.errors == ()
    assert not row.imap.wanted
    assert row.imap.host == ""
    assert row.secrets.imap is None
    row = read_row({"imapEmailAddress": "sales@gmail.com", "imapPassword": "hunter2", "smtp": "no"}, 1)
    assert row.errors == ()
    assert (row.smtp.wanted, row.imap.wanted, row.secrets.smtp) == (False, True, None)
    assert row.provider == "gmail"


def test_a_password_of_a_side_that_is_switched_off_serves_the_other() -> None:
    row = read_row({"smtpEmailAddress": "sales@gmail.com", "smtpPassword": "hunter2", "smtp": False}, 1)
    assert row.errors == ()
    assert row.secrets.imap == Secret("hunter2")


def test_with_both_sides_off_nothing_is_left_to_check() -> None:
    assert failures_of(read(smtp=False, imap=False)) == [("smtp", "value")]


@pytest.mark.parametrize(
    ("values", "smtp", "imap"),
    [
        ({"accessToken": "t"}, ("t", True), ("t", True)),
        ({"smtpAccessToken": "s", "imapAccessToken": "i"}, ("s", True), ("i", True)),
        ({"smtpAccessToken": "s"}, ("s", True), ("s", True)),
        ({"imapAccessToken": "i", "smtpPassword": "p"}, ("p", False), ("i", True)),
        ({"accessToken": "t", "smtpPassword": "p", "imapPassword": "q"}, ("t", True), ("t", True)),
    ],
)
def test_a_token_goes_before_a_password(
    values: dict[str, object], smtp: tuple[str, bool], imap: tuple[str, bool]
) -> None:
    row = read_row({"smtpEmailAddress": "sales@gmail.com", **values}, 1)
    assert row.errors == ()
    assert (row.secrets.smtp, row.secrets.smtp_is_token) == (Secret(smtp[0]), smtp[1])
    assert (row.secrets.imap, row.secrets.imap_is_token) == (Secret(imap[0]), imap[1])


def test_a_missing_password_is_told_once_since_one_mends_both_sides() -> None:
    row = read_row({"smtpEmailAddress": "sales@gmail.com"}, 1)
    assert failures_of(row) == [("smtpPassword", "missing")]
    row = read_row({"smtpEmailAddress": "sales@gmail.com", "smtp": False}, 1)
    assert failures_of(row) == [("imapPassword", "missing")]


def test_a_password_that_cannot_be_used_is_told_once_and_not_called_missing() -> None:
    row = read_row({"smtpEmailAddress": "sales@gmail.com", "smtpPassword": 12345}, 1)
    assert failures_of(row) == [("smtpPassword", "type")]


@pytest.mark.parametrize(
    ("values", "failures"),
    [
        ({"smtpPort": 0}, [("smtpPort", "range")]),
        ({"imapPort": "imap"}, [("imapPort", "range")]),
        ({"smtpEncryption": "quantum"}, [("smtpEncryption", "value")]),
        ({"smtpHost": "not a host"}, [("smtpHost", "format")]),
        ({"imapHost": ["a"]}, [("imapHost", "type")]),
        ({"smtpUserName": "a\nb"}, [("smtpUserName", "control_characters")]),
        ({"externalId": {}}, [("externalId", "type")]),
        ({"dailyLimit": "many"}, [("dailyLimit", "type")]),
        ({"smtp": "perhaps"}, [("smtp", "type")]),
        ({"smtpPort": 0, "imapHost": "a b"}, [("smtpPort", "range"), ("imapHost", "format")]),
    ],
)
def test_what_is_wrong_is_told_with_its_field(values: dict[str, object], failures: list[tuple[str, str]]) -> None:
    assert failures_of(read(**values)) == failures


def test_a_row_that_is_no_object_is_told() -> None:
    row = not_an_object(3, "a list")
    assert failures_of(row) == [("", "type")]
    assert "Row 3" in row.errors[0].message
    assert broken_row(4, "Words.").errors[0].message == "Words."


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("sales.example.com", "sales.example.com"),
        (" sales @example,com\n", "sales @example,com"),
        ("=HYPERLINK(1)@x", "=HYPERLINK(1)@x"),
        ("\x1b[31msales\x00@\u202eexample", "sales@example"),
        ("s" * 300 + "@example.com", "s" * 254 + "…"),
        ("@" * 600, "@" * 254 + "…"),
        (4711, "4711"),
        ([], ""),
        (" ", ""),
    ],
)
def test_what_stands_where_an_address_belongs_is_shown(written: object, shown: str) -> None:
    row = read(smtpEmailAddress=written)
    assert row.errors
    assert row.email == shown


@pytest.mark.parametrize(
    "values",
    [
        {"smtpEmailAddress": "smtp-secret"},
        {"smtpEmailAddress": "imap-secret of sales", "imapEmailAddress": ""},
        {"smtpEmailAddress": "Ab1", "smtpPassword": "Ab1", "imapPassword": ""},
        {"smtpEmailAddress": "horse-battery", "smtpPassword": "sales@example.com"},
        {"smtpEmailAddress": "horse@battery", "smtpPassword": "", "imapPassword": "Sales <sales@example.com>"},
    ],
)
def test_a_secret_in_the_column_of_addresses_is_never_shown(values: dict[str, object]) -> None:
    row = read(**values)
    assert (row.email, row.errors != ()) == ("", True)
    told = " ".join(error.message for error in row.errors)
    assert str(values["smtpEmailAddress"]) not in told


def test_the_address_of_the_other_side_goes_before_what_is_none() -> None:
    assert read(smtpEmailAddress="sales", imapEmailAddress="info@example.com").email == "info@example.com"
    assert read(smtpEmailAddress="", imapEmailAddress="info").email == "info"


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_NAMES = st.sampled_from(sorted(KNOWN_FIELDS)) | st.text()


@settings(deadline=None)
@given(st.dictionaries(_NAMES, _VALUES, max_size=8))
def test_whatever_an_entry_holds_it_becomes_a_row(values: dict[str, Any]) -> None:
    row = read_row(values, 9)
    assert row.row == 9
    assert row.errors or row.email


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(KNOWN_FIELDS - {"smtpPassword"})), _VALUES, max_size=8))
def test_no_password_is_in_what_is_told_or_kept(values: dict[str, Any]) -> None:
    row = read_row({**values, "smtpPassword": "'zq7-Kx9-wv3 "}, 1)
    assert "zq7-Kx9-wv3" not in repr(row)
