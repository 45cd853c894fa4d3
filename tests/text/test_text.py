"""What strangers write is made safe, and what they quote of a secret is starred."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text import STARS, clean_text, guard_cell, list_needles, unguard_cell


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("535 5.7.8 Bad\r\nTry again\rSoon", "535 5.7.8 Bad\nTry again\nSoon"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x9b31mred", "red"),
        ("nul\x00 bell\x07 del\x7f", "nul bell del"),
        ("tab\there", "tab here"),
        ("\u202eevil\u2066x\u200b\ufeff", "evilx"),
        ("lone \udcff surrogate", "lone \ufffd surrogate"),
        (b"latin \xe4", "latin \ufffd"),
        ("grüße 密码", "grüße 密码"),
        ("next\x85line\u2028sep", "next\nline\nsep"),
        ("", ""),
    ],
)
def test_text_is_plain_afterwards(raw: str | bytes, clean: str) -> None:
    assert clean_text(raw) == clean


def test_cut_falls_between_characters() -> None:
    assert clean_text("ä" * 10, limit=5) == "ää"
    assert clean_text("a" * 5000) == "a" * 4096


def test_cut_comes_after_the_stars() -> None:
    assert clean_text("x" * 10 + "hunter2secret", ["hunter2secret"], limit=16) == "x" * 10 + STARS


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("username", ["u", "us", "use", "user", "info@example.com"])
@pytest.mark.parametrize("secret", ["hunter2!", "päss wörd", "x" * 200, 'quo"te\\d'])
def test_echoes_of_a_secret_are_starred(username: str, secret: str) -> None:
    needles = list_needles(username, secret)
    echoes = [
        secret,
        secret.replace("\\", "\\\\").replace('"', '\\"'),
        encode(secret),
        encode(f"\0{username}\0{secret}"),
        encode(f"user={username}\1auth=Bearer {secret}\1\1"),
        encode(f"n,a={username},\1auth=Bearer {secret}\1\1"),
    ]
    for echo in echoes:
        cleaned = clean_text(f"535 you sent {echo} to us", needles)
        assert STARS in cleaned
        assert secret not in cleaned
        assert encode(secret)[3:-6] not in cleaned


def test_short_secret_is_starred_only_where_it_stands_alone() -> None:
    needles = list_needles("user", "no")
    assert clean_text("not known: no, no", needles) == f"not known: {STARS}, {STARS}"


def test_no_secret_means_no_needles() -> None:
    assert list_needles("user", "") == ()


@given(st.text(), st.binary())
def test_whatever_comes_is_storable(text: str, data: bytes) -> None:
    for raw in (text, data, data.decode("utf-8", "surrogateescape")):
        cleaned = clean_text(raw, limit=100)
        assert len(cleaned.encode()) <= 100
        assert "\0" not in cleaned
        assert "\x1b" not in cleaned


@given(st.text(min_size=1), st.text(min_size=8))
def test_a_secret_never_survives(around: str, secret: str) -> None:
    cleaned = clean_text(around + secret + around, list_needles("user", secret))
    assert (
        clean_text(secret) == ""
        or clean_text(secret) not in cleaned.replace(STARS, "\n")
        or len(clean_text(secret)) < 4
    )


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30", "'+49 30"),
        ("-5", "'-5"),
        ("@home", "'@home"),
        ("\ttab", "'\ttab"),
        ("\rline", "'\rline"),
        ("'=1+1", "''=1+1"),
        ("'tis", "'tis"),
        ("''", "''"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_a_cell_that_would_be_calculated_gets_an_apostrophe(text: str, cell: str) -> None:
    assert guard_cell(text) == cell
    assert unguard_cell(cell) == text


@given(st.text(alphabet="'=+-@\t\rab", max_size=6))
def test_the_guard_comes_off_again(text: str) -> None:
    assert unguard_cell(guard_cell(text)) == text
