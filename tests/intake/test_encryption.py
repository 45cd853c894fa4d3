"""Words for encryption are read as the people who wrote them meant them; none of them weakens a login unasked."""

import csv
from importlib.resources import files

import pytest

from app.intake.encryption import USUAL_PORTS, is_port_needed, normalise, parse_encryption
from app.model import Encryption

SSL, STARTTLS, NONE = Encryption.SSL, Encryption.STARTTLS, Encryption.NONE
NO_TLS_WORDS = {"none", "plain", "clear", "unencrypted", "noencryption", "notencrypted", "insecure"}


@pytest.mark.parametrize(
    ("text", "port", "encryption"),
    [
        ("ssl", 587, SSL),
        ("SSL/TLS", 0, SSL),
        ("  Start TLS ", 465, STARTTLS),
        ("STARTTLS", 0, STARTTLS),
        ("tls", 465, SSL),
        ("TLS", 993, SSL),
        ("tls", 587, STARTTLS),
        ("TLS 1.2", 143, STARTTLS),
        ("tls", 0, STARTTLS),
        ("true", 465, SSL),
        ("true", 587, STARTTLS),
        ("true", 0, SSL),
        ("false", 993, SSL),
        ("false", 587, STARTTLS),
        ("none", 587, NONE),
        ("Plain-Text", 25, NONE),
        ("", 993, SSL),
        ("", 587, STARTTLS),
        ("", 0, SSL),
        ("", 12345, SSL),
        ("quantum", 465, None),
        ("???", 0, None),
    ],
)
def test_a_word_is_read_with_its_port(text: str, port: int, encryption: Encryption | None) -> None:
    assert parse_encryption(text, port) is encryption


def test_words_of_two_meanings_need_a_port() -> None:
    assert is_port_needed("TLS")
    assert is_port_needed("true")
    assert not is_port_needed("ssl")
    assert not is_port_needed("STARTTLS")
    assert not is_port_needed("quantum")


def test_only_words_that_say_so_mean_no_encryption() -> None:
    """`false` in a column called ssl is no wish for a login in clear."""
    text = files("app.intake").joinpath("data/encryption-values.csv").read_text("utf-8")
    words = {row["raw"] for row in csv.DictReader(text.splitlines()) if row["encryption"] == "none"}
    assert {word for word in words if not any(sign in word for sign in NO_TLS_WORDS)} == {"nossl", "notls", "nossltls"}
    assert all(normalise(word) == word for word in words)


def test_usual_ports_are_the_registered_ones() -> None:
    """RFC 8314, section 7.3; RFC 6409, section 3.1."""
    assert USUAL_PORTS["smtp", SSL] == 465
    assert USUAL_PORTS["smtp", STARTTLS] == USUAL_PORTS["smtp", NONE] == 587
    assert USUAL_PORTS["imap", SSL] == 993
    assert USUAL_PORTS["imap", STARTTLS] == USUAL_PORTS["imap", NONE] == 143


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("SMTP Host", "smtphost"),
        ("smtp_host", "smtphost"),
        ("smtp-host", "smtphost"),
        ("\ufeffsmtpHost", "smtphost"),
        ("payload[].smtpHost", "payloadsmtphost"),
        ("settings.smtp_host", "settingssmtphost"),
        ("Contraseña", "contraseña"),
    ],
)
def test_words_are_looked_up_without_marks_and_capitals(text: str, normal: str) -> None:
    assert normalise(text) == normal
