"""Replies are taken apart the same way whichever library carried them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.checked import Reply
from app.login.reply import parse_imap_reply, parse_smtp_reply


@pytest.mark.parametrize(
    ("code", "message", "reply"),
    [
        (235, "2.7.0 Authentication successful", Reply("Authentication successful", 235, "2.7.0")),
        (535, "5.7.8 Not accepted\n5.7.8  https://x", Reply("Not accepted\nhttps://x", 535, "5.7.8")),
        (535, "5.7.3", Reply("", 535, "5.7.3")),
        (535, "Incorrect authentication data", Reply("Incorrect authentication data", 535)),
        (554, "5.7.1: blocked", Reply("blocked", 554, "5.7.1")),
        (
            535,
            "5.7.139 Authentication unsuccessful [AM0.prod]",
            Reply("Authentication unsuccessful [AM0.prod]", 535, "5.7.139"),
        ),
        (535, "5.7.8 one\n4.7.0 other", Reply("one\n4.7.0 other", 535, "5.7.8")),
        (535, "10.0.0.1 is listed", Reply("10.0.0.1 is listed", 535)),
        (535, "5.7.8.9 odd", Reply("5.7.8.9 odd", 535)),
    ],
)
def test_smtp(code: int, message: str, reply: Reply) -> None:
    assert parse_smtp_reply(code, message) == reply


@pytest.mark.parametrize(
    ("line", "notices", "reply"),
    [
        (
            b"NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)",
            [],
            Reply("Invalid credentials (Failure)", status="NO", response_code="AUTHENTICATIONFAILED"),
        ),
        (b"no Login failed.", [], Reply("Login failed.", status="NO")),
        (b"NO", [], Reply("", status="NO")),
        (
            b"NO [ALERT] Web login required",
            [b"NO [WEBALERT https://x/y] Web login required."],
            Reply(
                "Web login required\nNO [WEBALERT https://x/y] Web login required.", status="NO", response_code="ALERT"
            ),
        ),
        (
            b"NO [WEBALERT https://x/y] Web login required.",
            [],
            Reply("https://x/y Web login required.", status="NO", response_code="WEBALERT"),
        ),
        (b"OK [CAPABILITY IMAP4rev1 IDLE] Logged in", [], Reply("Logged in", status="OK", response_code="CAPABILITY")),
        (b"BAD [unclosed", [], Reply("[unclosed", status="BAD")),
    ],
)
def test_imap(line: bytes, notices: list[bytes], reply: Reply) -> None:
    assert parse_imap_reply(line, notices) == reply


@given(st.integers(-99, 999), st.text())
def test_any_smtp_message_can_be_read(code: int, message: str) -> None:
    assert parse_smtp_reply(code, message).code == code


@given(st.binary(), st.lists(st.binary(), max_size=3))
def test_any_imap_line_can_be_read(line: bytes, notices: list[bytes]) -> None:
    assert "\0" not in str(parse_imap_reply(line, notices))
