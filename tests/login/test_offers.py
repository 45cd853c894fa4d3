"""What a mail server offers is read as it stands, and only what is short stays in the memory."""

from app.login.offers import LONGEST_REMEMBERED, SHOWN, read_capabilities, read_extensions, show_capabilities


def test_extensions_and_mechanisms_of_an_answer_to_ehlo() -> None:
    words = "mail.example.com\nSize 1000\nAUTH PLAIN login\nAUTH=PLAIN LOGIN\nSTARTTLS\n8BITMIME"
    extensions, mechanisms, shown = read_extensions(words)
    assert extensions == {"size", "auth", "starttls", "8bitmime"}
    assert mechanisms == {"PLAIN", "LOGIN"}
    assert shown == ("SIZE 1000", "AUTH PLAIN LOGIN", "AUTH=PLAIN LOGIN", "STARTTLS", "8BITMIME")


def test_capabilities_in_any_case_and_order() -> None:
    words = b"imap4rev1 SASL-IR auth=plain \xff"
    assert read_capabilities(words) == {"IMAP4REV1", "SASL-IR", "AUTH=PLAIN", "\ufffd"}
    assert show_capabilities(words)[:3] == ("AUTH=PLAIN", "IMAP4REV1", "SASL-IR")


def test_no_more_is_shown_than_somebody_reads() -> None:
    assert len(show_capabilities(b" ".join(b"X%d" % number for number in range(500)))) == SHOWN
    assert len(read_extensions("\n".join(f"X{number}" for number in range(500)))[2]) == SHOWN


def test_what_is_short_is_read_once_and_what_strangers_make_long_is_not_kept() -> None:
    long = "hello\n" + "a" * LONGEST_REMEMBERED
    for read, said in ((read_capabilities, b"A B"), (show_capabilities, b"A B")):
        assert read(said) is read(bytes(bytearray(said)))
        assert read(long.encode()) is not read(long.encode())
        assert read(long.encode()) == read(long.encode())
    assert read_extensions("hello\nSIZE") is read_extensions("hello\nSIZE")
    assert read_extensions(long) is not read_extensions(long)
