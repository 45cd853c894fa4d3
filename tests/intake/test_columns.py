"""Headers are understood however other tools write them; what is not understood is carried or, if secret, dropped."""

import csv
from importlib.resources import files

import pytest

from app.intake.columns import BOTH, Column, Use, understand_columns
from app.intake.encryption import normalise
from app.intake.fields import KNOWN_FIELDS, SECRET_FIELDS, smells_secret
from app.report.rows import HEADER

TABLE = list(csv.DictReader(files("app.intake").joinpath("data/header-aliases.csv").read_text("utf-8").splitlines()))
NOT_KEPT = {"incomingServerType", "sendgridApiKey"}
"""Fields of others that mean nothing here: unknown columns."""


def understand(header: str) -> Column:
    (column,) = understand_columns([header])
    return column


def fields_of(*headers: str) -> list[tuple[str, ...]]:
    return [column.fields for column in understand_columns(headers)]


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        ("smtpHost", ("smtpHost",)),
        ("SMTP Host", ("smtpHost",)),
        (" smtp_server ", ("smtpHost",)),
        ("IMAP-Port", ("imapPort",)),
        ("\ufeffEmail", ("smtpEmailAddress", "imapEmailAddress")),
        ("App Password", ("smtpPassword", "imapPassword")),
        ("user_name", ("smtpUserName", "imapUserName")),
        ("Contraseña", ("smtpPassword", "imapPassword")),
        ("max_email_per_day", ("dailyLimit",)),
        ("Access Token", ("accessToken",)),
    ],
)
def test_a_header_is_understood_as_fields(header: str, fields: tuple[str, ...]) -> None:
    column = understand(header)
    assert (column.use, column.fields, column.label) == (Use.FIELD, fields, fields[0])


@pytest.mark.parametrize("field", sorted(KNOWN_FIELDS))
def test_every_field_is_understood_by_its_own_name(field: str) -> None:
    column = understand(field)
    meant = {"displayName": "fromName", "imap": "imapHost", "smtp": "smtpHost"}.get(field, field)
    assert column.fields == (meant,)


def test_headers_that_are_metadata_keep_their_names() -> None:
    assert understand("Warmup Limit") == Column("Warmup Limit", Use.METADATA, ("metadata",))


def test_what_is_unknown_is_carried_under_its_own_name() -> None:
    column = understand(" Cost centre ")
    assert column == Column("Cost centre", Use.EXTRA)
    assert column.label == "Cost centre"
    assert {understand(name).use for name in NOT_KEPT} <= {Use.EXTRA, Use.IGNORED}


@pytest.mark.parametrize("header", ["", "  ", "old password", "TOTP secret", "recovery codes", "refresh_token"])
def test_what_has_no_name_or_smells_of_a_secret_is_not_looked_at(header: str) -> None:
    assert understand(header).use is Use.IGNORED


def test_the_reports_own_columns_can_be_sent_back() -> None:
    uses = {column.header: column for column in understand_columns(HEADER)}
    assert {name for name, column in uses.items() if column.use is Use.EXTRA} == set()
    kept = {name for name, column in uses.items() if column.use is not Use.IGNORED}
    sides = {f"{side}{name}" for side in ("smtp", "imap") for name in ("Host", "Port", "Encryption")}
    assert kept == {"externalId", "emailAddress", *sides}


def test_the_guard_of_a_report_comes_off_headers_too() -> None:
    assert understand("'=note").header == "=note"


def test_of_two_headers_the_better_known_wins_and_the_other_is_carried() -> None:
    first, second = understand_columns(["Mailbox", "Email"])
    assert first == Column("Mailbox", Use.EXTRA)
    assert second.fields == ("smtpEmailAddress", "imapEmailAddress")


def test_of_two_equal_headers_the_first_wins() -> None:
    first, second = understand_columns(["Email", "email"])
    assert first.use is Use.FIELD
    assert second == Column("email", Use.EXTRA)


def test_a_second_password_is_not_carried() -> None:
    assert [column.use for column in understand_columns(["Password", "App Password"])] == [Use.IGNORED, Use.FIELD]


def test_a_side_may_have_a_column_beside_the_one_for_both() -> None:
    assert fields_of("password", "imap_password") == [("smtpPassword", "imapPassword"), ("imapPassword",)]


def test_a_field_of_less_rank_is_known_by_its_own_name_still() -> None:
    assert fields_of("fromName", "displayName") == [("fromName",), ("displayName",)]
    assert fields_of("imapHost", "imap") == [("imapHost",), ("imap",)]
    assert fields_of("imap", "imap", "IMAP") == [("imapHost",), ("imap",), ()]


def test_no_two_columns_have_one_name() -> None:
    headers = [column.header for column in understand_columns(["x", "x", "x (2)", "x", "", "", "notes", "notes"])]
    assert headers == ["x", "x (2)", "x (2) (2)", "x (3)", "", "", "notes", "notes (2)"]


def test_an_unknown_column_never_bears_the_name_of_a_field() -> None:
    """Its cells would be taken for the field's."""
    first, second = understand_columns(["smtphost", "smtpHost"])
    assert first.fields == ("smtpHost",)
    assert second == Column("smtpHost (2)", Use.EXTRA)


def test_the_table_is_sound() -> None:
    aliases = [line["alias"] for line in TABLE]
    assert len(set(aliases)) == len(aliases)
    assert [alias for alias in aliases if normalise(alias) != alias] == []
    assert {line["rank"] for line in TABLE} == {"1", "2", "3"}
    assert all(line["tools"] for line in TABLE)
    sides = {f"{side}{line['field'].removeprefix(BOTH)}".lower() for line in TABLE for side in ("smtp", "imap")}
    fields = {line["field"] for line in TABLE if not line["field"].startswith(BOTH)}
    assert fields - KNOWN_FIELDS - NOT_KEPT == {"ignore"}
    assert {name.lower() for name in KNOWN_FIELDS if name.startswith(("smtp", "imap")) and name[4:]} <= sides | {
        name.lower() for name in fields
    }


def test_headers_of_secrets_are_fields_of_secrets_or_dropped() -> None:
    """No other field or metadata may take a password in: it would come back in a report."""
    found = {
        line["alias"]: column.fields
        for line in TABLE
        for column in understand_columns([line["alias"]])
        if smells_secret(line["alias"]) and column.use is not Use.IGNORED and column.fields[0] not in SECRET_FIELDS
    }
    assert found == {"syncpassivefrequency": ("syncPassiveFrequency",)}
