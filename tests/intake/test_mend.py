"""A failed row is tried again with corrected fields: what was given counts, what was filled is filled anew."""

import pytest
from msgspec.structs import replace

from app.intake.mend import lacks_secret, mend_row
from app.intake.row import read_row
from app.model import Encryption, Row, Secret, Secrets, Source


def row_of(**values: object) -> Row:
    row = read_row(values, 3)
    assert row.errors == ()
    return row


OWN = row_of(
    smtpEmailAddress="sales@example.com",
    smtpUserName="sales",
    smtpPassword="smtp-secret",
    smtpHost="smtp.example.com",
    smtpPort=465,
    smtpEncryption="ssl",
    imapPassword="imap-secret",
    imapHost="imap.example.com",
    imapPort=993,
    externalId="17",
    fromName="Sales",
    Team="north",
)
BORROWED = row_of(emailServiceProvider="gsuite", smtpEmailAddress="sales@example.com", smtpPassword="hunter2")


def test_with_nothing_given_the_row_stays() -> None:
    assert mend_row(OWN, {}) is OWN


def test_a_corrected_field_changes_itself_alone() -> None:
    mended = mend_row(OWN, {"smtpHost": "mail.example.com"})
    assert mended.errors == ()
    assert mended.smtp == replace(OWN.smtp, host="mail.example.com")
    assert mended.imap == OWN.imap
    assert mended.secrets == OWN.secrets
    assert (mended.row, mended.external_id, mended.details, mended.extra) == (3, "17", OWN.details, OWN.extra)


def test_a_new_password_takes_the_place_of_the_old_one() -> None:
    mended = mend_row(OWN, {"imapPassword": "better"})
    assert mended.secrets == Secrets(Secret("smtp-secret"), Secret("better"))
    mended = mend_row(OWN, {"smtpPassword": "better"})
    assert mended.secrets == Secrets(Secret("better"), Secret("imap-secret"))


def test_a_password_that_served_both_sides_is_replaced_on_both() -> None:
    mended = mend_row(BORROWED, {"smtpPassword": "better"})
    assert mended.errors == ()
    assert mended.secrets == Secrets(Secret("better"), Secret("better"))
    assert (mended.provider, mended.smtp.host) == ("gsuite", "smtp.gmail.com")


def test_a_kept_password_serves_both_sides_still() -> None:
    mended = mend_row(BORROWED, {"fromName": "Sales"})
    assert mended.secrets == Secrets(Secret("hunter2"), Secret("hunter2"))


def test_a_token_may_replace_a_password_and_is_one_afterwards() -> None:
    mended = mend_row(OWN, {"accessToken": "t"})
    assert mended.secrets == Secrets(Secret("t"), Secret("t"), True, True)
    again = mend_row(mended, {"fromName": "Sales"})
    assert again.secrets == mended.secrets


def test_what_was_filled_is_filled_anew() -> None:
    mended = mend_row(BORROWED, {"emailServiceProvider": "yahoo"})
    assert mended.provider == "yahoo"
    assert mended.smtp.host == "smtp.mail.yahoo.com"
    assert mended.smtp.sources["host"] is Source.PRESET
    assert mend_row(OWN, {"imapPort": 143}).imap.encryption is Encryption.STARTTLS


def test_a_side_that_was_left_out_stays_out_unless_it_is_asked_for() -> None:
    row = row_of(smtpEmailAddress="sales@gmail.com", smtpPassword="hunter2", imap=False)
    assert not mend_row(row, {"fromName": "Sales"}).imap.wanted
    mended = mend_row(row, {"imap": True})
    assert mended.imap.wanted
    assert mended.secrets.imap == Secret("hunter2")


def test_a_correction_can_be_wrong_too() -> None:
    mended = mend_row(OWN, {"smtpPort": 0})
    assert [(error.row, error.field) for error in mended.errors] == [(3, "smtpPort")]


@pytest.mark.parametrize(
    ("secrets", "lacks"),
    [
        (Secrets(Secret("a"), Secret("b")), False),
        (Secrets(None, Secret("b")), True),
        (Secrets(Secret("a"), None), True),
        (Secrets(), True),
    ],
)
def test_a_row_whose_credential_is_gone_says_so(secrets: Secrets, lacks: bool) -> None:
    assert lacks_secret(replace(OWN, secrets=secrets)) is lacks


def test_a_side_that_is_left_out_lacks_nothing() -> None:
    row = row_of(smtpEmailAddress="sales@gmail.com", smtpPassword="hunter2", imap=False)
    assert row.secrets.imap is None
    assert not lacks_secret(row)


def test_credentials_that_are_gone_must_be_brought() -> None:
    gone = replace(OWN, secrets=Secrets())
    mended = mend_row(gone, {"smtpPassword": "a", "imapPassword": "b"})
    assert mended.secrets == Secrets(Secret("a"), Secret("b"))
    assert mend_row(gone, {"fromName": "Sales"}).errors
