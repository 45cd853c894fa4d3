"""What a mail server offers is read as it stands, and only what is short stays in the memory."""

from app.login import offers
from app.login.offers import LONGEST_REMEMBERED, SHOWN, read_capabilities, read_extensions


def test_extensions_and_mechanisms_of_an_answer_to_ehlo() -> None:
    words = "mail.example.com\nSize 1000\nAUTH PLAIN login\nAUTH=PLAIN LOGIN\nSTARTTLS\n8BITMIME"
    extensions, mechanisms, shown = read_extensions(words)
    assert extensions == {"size", "auth", "starttls", "8bitmime"}
    assert mechanisms == {"PLAIN", "LOGIN"}
    assert shown == ("SIZE 1000", "AUTH PLAIN LOGIN", "AUTH=PLAIN LOGIN", "STARTTLS", "8BITMIME")


def test_capabilities_in_any_case_and_order() -> None:
    known, shown = read_capabilities(b"imap4rev1 SASL-IR auth=plain \xff")
    assert known == {"IMAP4REV1", "SASL-IR", "AUTH=PLAIN", "\ufffd"}
    assert shown[:3] == ("AUTH=PLAIN", "IMAP4REV1", "SASL-IR")


def test_no_more_is_shown_than_somebody_reads() -> None:
    assert len(read_capabilities(b" ".join(b"X%d" % number for number in range(500)))[1]) == SHOWN
    assert len(read_extensions("\n".join(f"X{number}" for number in range(500)))[2]) == SHOWN


def test_what_strangers_make_long_is_not_kept() -> None:
    offers._remember_capabilities.cache_clear()
    offers._remember_extensions.cache_clear()
    long = "a " * LONGEST_REMEMBERED
    assert read_capabilities(long.encode())[0] == {"A"}
    assert read_extensions("hello\n" + long)[0] == {"a"}
    assert offers._remember_capabilities.cache_info().currsize == 0
    assert offers._remember_extensions.cache_info().currsize == 0
    read_capabilities(b"A")
    assert offers._remember_capabilities.cache_info().currsize == 1
