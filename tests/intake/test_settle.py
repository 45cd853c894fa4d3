"""The servers of a row: named, found by the domain or the host, shared between rows that say the same."""

from typing import cast

import pytest

from app.intake.policy import judge_before_dialling
from app.intake.row import read_row
from app.model import Encryption, Protocol, Row, Secret, Source

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


def test_the_named_provider_fills_the_servers_and_is_the_rows() -> None:
    row = read_row(
        {
            "emailServiceProvider": "Google Workspace",
            "smtpEmailAddress": "sales@example.com",
            "smtpPassword": "abcd efgh ijkl mnop",
        },
        1,
    )
    assert row.errors == ()
    assert (row.provider, row.pace_key) == ("gsuite", "gsuite")
    assert (row.smtp.host, row.imap.host) == ("smtp.gmail.com", "imap.gmail.com")
    assert row.smtp.sources["host"] is Source.PRESET
    assert row.secrets.smtp == row.secrets.imap == Secret("abcdefghijklmnop")
    assert [entry.field for entry in row.corrections] == ["smtpPassword"]


def test_hosts_after_the_domain_are_those_of_the_rows_own_domain() -> None:
    for domain in ("a.example", "b.example"):
        values = {"emailServiceProvider": "bluehost", "smtpEmailAddress": f"sales@{domain}", "smtpPassword": "hunter2"}
        row = read_row(values, 1)
        assert row.errors == ()
        assert row.smtp.host == row.imap.host == f"mail.{domain}"


def test_each_side_has_the_domain_of_its_own_address() -> None:
    values = {"emailServiceProvider": "bluehost", "smtpPassword": "hunter2"}
    row = read_row({**values, "smtpEmailAddress": "sales@a.example", "imapEmailAddress": "sales@b.example"}, 1)
    assert (row.smtp.host, row.imap.host) == ("mail.a.example", "mail.b.example")
    row = read_row({**values, "imapEmailAddress": "sales@b.example"}, 1)
    assert (row.smtp.host, row.imap.host) == ("mail.b.example", "mail.b.example")


def test_rows_that_say_the_same_are_read_alike_and_others_are_not() -> None:
    """Servers are remembered: what looks alike to a dictionary must not be mixed up."""
    first, second, third = read(smtpPort=465), read(smtpPort=465.0), read(smtpPort="465.0")
    assert first.corrections == ()
    assert [entry.given for entry in (*second.corrections, *third.corrections)] == ["465.0", "465.0"]
    assert failures_of(read(smtpPort=True)) == [("smtpPort", "type")]
    assert read(smtpPort=465) == first


def test_the_domain_tells_the_provider_where_the_row_does_not() -> None:
    row = read_row({"smtpEmailAddress": "sales@gmail.com", "smtpPassword": "hunter2"}, 1)
    assert row.provider == "gmail"
    assert row.smtp.sources["host"] is Source.DOMAIN_PRESET
    same = read_row({"emailServiceProvider": "other", "smtpEmailAddress": "sales@gmail.com", "smtpPassword": "x"}, 1)
    assert same.smtp.sources["host"] is Source.DOMAIN_PRESET


def test_a_provider_that_nobody_knows_is_told_and_does_no_harm() -> None:
    row = read_row(
        {"emailServiceProvider": "Acme", "smtpEmailAddress": "sales@gmail.com", "smtpPassword": "hunter2"}, 1
    )
    assert row.errors == ()
    assert [(entry.field, entry.given) for entry in row.corrections] == [("emailServiceProvider", "Acme")]
    assert row.provider == "gmail"


def test_a_host_tells_the_provider_too() -> None:
    row = read(smtpHost="smtp.gmail.com", imapHost="imap.gmail.com")
    assert row.provider == row.pace_key == "gmail"


def test_servers_that_nobody_knows_are_left_to_be_found() -> None:
    row = read_row({"smtpEmailAddress": "sales@example.com", "smtpPassword": "hunter2"}, 1)
    assert row.errors == ()
    assert (row.smtp.host, row.smtp.port, row.smtp.encryption) == ("", 0, None)
    assert row.pace_key == "example.com"


def test_a_service_that_only_sends_leaves_imap_out() -> None:
    row = read_row(
        {"emailServiceProvider": "sendgrid", "smtpEmailAddress": "sales@example.com", "smtpPassword": "key"}, 1
    )
    assert row.errors == ()
    assert (row.smtp.username, row.imap.wanted, row.secrets.imap) == ("apikey", False, None)


def test_a_service_that_only_sends_lends_no_password_to_imap() -> None:
    row = read_row(
        {
            "emailServiceProvider": "sendgrid",
            "smtpEmailAddress": "sales@example.com",
            "smtpPassword": "key",
            "imapHost": "imap.example.com",
        },
        1,
    )
    assert failures_of(row) == [("imapPassword", "missing")]
    row = read_row(
        {
            "emailServiceProvider": "sendgrid",
            "smtpEmailAddress": "sales@example.com",
            "smtpPassword": "key",
            "smtpUserName": "apikey",
            "imapHost": "imap.example.com",
            "imapPassword": "hunter2",
        },
        1,
    )
    assert row.errors == ()
    assert (row.imap.username, row.secrets.imap) == ("sales@example.com", Secret("hunter2"))


def test_where_no_credential_is_ever_sent_none_is_asked_for() -> None:
    row = read_row({"smtpEmailAddress": "sales@proton.me", "smtpPassword": "token"}, 1)
    assert row.errors == ()
    assert row.imap.wanted
    assert judge_before_dialling(row.provider or "proton", Protocol.IMAP, host=row.imap.host, is_token=False)
    elsewhere = {"smtpEmailAddress": "sales@proton.me", "smtpPassword": "token", "imapHost": "imap.example.com"}
    assert failures_of(read_row(elsewhere, 1)) == [("imapPassword", "missing")]


@pytest.mark.parametrize("kind", ["smtpPassword", "smtpAccessToken"])
@pytest.mark.parametrize("host", ["outlook.office365.com", "imap.protonmail.ch"])
def test_a_sending_services_credential_goes_to_no_provider_that_would_refuse_it(kind: str, host: str) -> None:
    sender = {"smtpEmailAddress": "a@outlook.com", "smtpHost": "smtp.sendgrid.net", "smtpUserName": "apikey"}
    row = read_row(sender | {kind: "SG.key", "imapHost": host}, 1)
    assert failures_of(row) == [("imapPassword", "missing")]
    assert row.secrets.imap is None


def test_a_sending_services_user_name_is_none_of_the_mailbox() -> None:
    sender = {"smtpEmailAddress": "a@outlook.com", "smtpHost": "smtp.sendgrid.net", "smtpUserName": "apikey"}
    row = read_row(sender | {"smtpPassword": "SG.key", "imapHost": "outlook.office365.com", "imapAccessToken": "t"}, 1)
    assert (row.errors, row.imap.username, row.secrets.imap) == ((), "a@outlook.com", Secret("t"))


def test_a_sending_host_in_any_region_leaves_imap_out_as_well() -> None:
    row = read_row(
        {
            "smtpEmailAddress": "sales@example.com",
            "smtpHost": "email-smtp.eu-west-1.amazonaws.com",
            "smtpUserName": "AKIAEXAMPLE",
            "smtpPassword": "key",
        },
        1,
    )
    assert row.errors == ()
    assert (row.provider, row.imap.wanted, row.secrets.imap) == ("ses", False, None)


def test_a_relay_of_unknown_user_names_wants_one() -> None:
    row = read_row(
        {
            "smtpEmailAddress": "sales@example.com",
            "smtpHost": "email-smtp.eu-west-1.amazonaws.com",
            "smtpPassword": "key",
        },
        1,
    )
    assert failures_of(row) == [("smtpUserName", "missing")]


@pytest.mark.parametrize(("word", "encryption"), [(True, SSL), ("starttls", STARTTLS), ("SSL/TLS", SSL)])
def test_encryption_may_be_a_word_or_true(word: object, encryption: Encryption) -> None:
    assert read(smtpEncryption=word).smtp.encryption is encryption


def test_a_relay_for_mailboxes_leaves_imap_to_the_domain_but_lends_it_no_password() -> None:
    values = {"smtpEmailAddress": "sales@example.com", "smtpHost": "smtp-relay.gmail.com", "smtpPassword": "key"}
    row = read_row(values, 1)
    assert row.imap.wanted
    assert failures_of(row) == [("imapPassword", "missing")]


def test_the_provider_is_the_named_one_else_whose_servers_they_are() -> None:
    assert read(emailServiceProvider="gsuite", smtpHost="smtp.sendgrid.net").provider == "gsuite"
    assert read(smtpHost="smtp.sendgrid.net").provider == "sendgrid"
    assert read(imapHost="imap.gmail.com").provider == "gmail"
    assert read(smtpEmailAddress="sales@gmail.com").provider == ""


def test_rows_knock_where_their_servers_are() -> None:
    assert read(smtpHost="smtp.mail.test", imapHost="imap.example.org").pace_key == "mail.test"
    assert read(smtpHost="", imapHost="imap.example.org").pace_key == "example.org"
    assert read(smtpHost="", imapHost="").pace_key == "example.com"


def test_whence_a_user_name_came_is_told_as_its_provider_was() -> None:
    by_domain = read_row({"smtpEmailAddress": "sales@gmail.com", "smtpPassword": "hunter2"}, 1)
    assert by_domain.smtp.sources["username"] is Source.DOMAIN_PRESET
    by_name = read_row({**FULL, "emailServiceProvider": "gmail", "smtpHost": "", "imapHost": ""}, 1)
    assert by_name.imap.sources["username"] is Source.PRESET
    by_host = read(smtpHost="smtp.gmail.com")
    assert by_host.smtp.sources["username"] is Source.PRESET
    assert by_host.imap.sources["username"] is Source.ADDRESS


def test_what_rows_share_nobody_can_change() -> None:
    one, other = read(), read(smtpEmailAddress="info@example.com")
    assert one.smtp.sources is other.smtp.sources
    changeable = cast("dict[str, Source]", one.smtp.sources)
    with pytest.raises(TypeError):
        changeable["host"] = Source.SRV
    with pytest.raises(AttributeError):
        changeable.clear()
    assert other.smtp.sources["host"] is Source.ROW
