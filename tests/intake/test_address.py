"""Addresses and host names come out in one form, however people write them."""

import pytest

from app.intake.address import (
    HostParts,
    is_host,
    load_suffixes,
    login_key,
    organisation_of,
    parse_address,
    parse_host,
    split_domain,
    trim,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("sales@example.com", "sales@example.com"),
        (" Sales@Example.COM ", "Sales@example.com"),
        ("\u200bsales@example.com\u00a0\ufeff", "sales@example.com"),
        ("mailto:sales@example.com", "sales@example.com"),
        ("Sales <sales@example.com>", "sales@example.com"),
        ('"Sales, North" <mailto:sales@Example.com>', "sales@example.com"),
        ("a.b+c@mail.example.co.uk", "a.b+c@mail.example.co.uk"),
        ("info@bücher.example", "info@bücher.example"),
        ("info@XN--bcher-kva.example", "info@bücher.example"),
        ("info@xn--0.example", ""),
        ("a--b@example.com", "a--b@example.com"),
        ("grüße@example.com", "grüße@example.com"),
        ("a@mail.test", "a@mail.test"),
        ("", ""),
        ("   ", ""),
        ("sales", ""),
        ("sales@", ""),
        ("@example.com", ""),
        ("sales@@example.com", ""),
        ("a@b@example.com", ""),
        ("sales@example..com", ""),
        ("sa les@example.com", ""),
        (".sales@example.com", ""),
        ("sales.@example.com", ""),
        ("sales@-example.com", ""),
        ("sales@[192.0.2.1]", ""),
        ("sales@example.com, info@example.com", ""),
        ("x" * 64 + "@example.com", "x" * 64 + "@example.com"),
        ("x" * 65 + "@example.com", "x" * 65 + "@example.com"),  # some servers have such: they may judge
        ("x@" + "a." * 125 + "example", ""),
    ],
)
def test_an_address_is_brought_into_one_form_or_is_none(text: str, address: str) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("imap.example.com", HostParts("imap.example.com")),
        (" IMAP.Example.com. ", HostParts("imap.example.com")),
        ("imaps://imap.example.com:993/", HostParts("imap.example.com", 993, True)),
        ("smtps://smtp.example.com", HostParts("smtp.example.com", 0, True)),
        ("ssl://smtp.example.com:465", HostParts("smtp.example.com", 465, True)),
        ("TLS://smtp.example.com", HostParts("smtp.example.com", 0, True)),
        ("smtp://smtp.example.com:587", HostParts("smtp.example.com", 587)),
        ("smtp.example.com:587", HostParts("smtp.example.com", 587)),
        ("smtp.example.com:1", HostParts("smtp.example.com", 1)),
        ("smtp.example.com:65535", HostParts("smtp.example.com", 65535)),
        ("192.0.2.1", HostParts("192.0.2.1")),
        ("192.0.2.1:25", HostParts("192.0.2.1", 25)),
        ("[2001:DB8::1]", HostParts("2001:db8::1")),
        ("2001:db8::1", HostParts("2001:db8::1")),
        ("localhost", HostParts("localhost")),
        ("mail_1.example.com", HostParts("mail_1.example.com")),
        ("post.bu\u0308cher.example", HostParts("post.bücher.example")),
    ],
)
def test_a_host_cell_is_taken_apart(text: str, parts: HostParts) -> None:
    assert parse_host(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "smtp example com",
        "smtp.example.com:0",
        "smtp.example.com:65536",
        "smtp.example.com:mail",
        "http://smtp.example.com",
        "smtp..example.com",
        "-smtp.example.com",
        "smtp-.example.com",
        "smtp.example.com/path",
        "user@example.com",
        "x" * 64 + ".example.com",
        "a." * 126 + "example",
        "ü" * 64 + ".example",
    ],
)
def test_what_cannot_be_a_host_is_none(text: str) -> None:
    assert parse_host(text) is None


def test_a_host_is_labels_of_letters_digits_and_hyphens() -> None:
    assert is_host("a-1.example")
    assert is_host("bücher.example")
    assert not is_host("")
    assert not is_host("a b")


@pytest.mark.parametrize(
    ("host", "organisation"),
    [
        ("mail.example.co.uk", "example.co.uk"),
        ("smtp.gmail.com", "gmail.com"),
        ("example.com", "example.com"),
        ("com", "com"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_hosts_of_one_organisation_share_its_domain(host: str, organisation: str) -> None:
    load_suffixes()
    assert organisation_of(host) == organisation


def test_spellings_of_one_mailbox_have_one_key() -> None:
    assert login_key("Sales@Example.com") == login_key("sales@example.com")
    assert login_key("gru\u0308n@example.com") == login_key("grün@example.com")
    assert login_key("sales@example.com") != login_key("info@example.com")


def test_an_address_splits_at_its_last_at() -> None:
    assert split_domain("sales@example.com") == ("sales", "example.com")
    assert split_domain("") == ("", "")


def test_blanks_that_nobody_sees_are_trimmed() -> None:
    assert trim("\t\ufeff\u2060 a b \u00a0\u200d\r\n") == "a b"
