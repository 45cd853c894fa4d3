"""Looking for plain letters first changes what an answer costs, never the answer."""

import re
import tomllib
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.diagnose.reply import parse_raw, strip_marks
from app.diagnose.words import Words, find_letters
from tests.replies.read import read_replies

RULES = tomllib.loads(files("app.diagnose").joinpath("rules.toml").read_text("utf-8"))["rule"]
LISTS = [listed for rule in RULES for name in ("words", "unless") if isinstance(listed := rule.get(name), list)]
PATTERNS = sorted({strip_marks(pattern) for listed in LISTS for pattern in listed})
TEXTS = [
    parse_raw(known.protocol, known.raw).text for name in ("dev.jsonl", "more.jsonl") for known in read_replies(name)
]


@pytest.mark.parametrize(
    ("pattern", "letters"),
    [
        ("spamhaus", "spamhaus"),
        (r"quota[^.]{0,30}(?:exceed|full)", "quota"),
        (r"\brate ?limit", "limit"),
        (r"rates? limit", " limit"),
        ("a?bc+d", "bc"),
        ("ab{0,3}cd{2,4}e", "cd"),
        (r"5\.7\.57", "5.7.57"),
        (r"(?:one|two) of", " of"),
        (r"x[])]yz\d", "yz"),
        (r"[^\]]yz", "yz"),
        ("(?:one|two)", ""),
        ("abc|def", ""),
        (r"\d\w", ""),
        ("a.b", ""),
        ("(?<!many )connections", "connections"),
        ("频率", "频率"),
    ],
)
def test_the_letters_a_match_must_hold(pattern: str, letters: str) -> None:
    assert find_letters(pattern) == letters


def test_whatever_a_pattern_matches_holds_its_letters() -> None:
    for pattern in PATTERNS:
        letters, whole = find_letters(pattern), re.compile(pattern)
        assert all(letters in found[0] for text in TEXTS for found in whole.finditer(text)), pattern


def test_many_patterns_find_what_each_would() -> None:
    for listed in LISTS:
        patterns = [strip_marks(pattern) for pattern in listed]
        words, plain = Words(patterns), re.compile("|".join(patterns))
        assert all(words.are_in(text) == (plain.search(text) is not None) for text in TEXTS)


@given(st.sampled_from(PATTERNS).flatmap(lambda pattern: st.tuples(st.just(pattern), st.from_regex(pattern))))
def test_made_up_matches_hold_the_letters_too(made: tuple[str, str]) -> None:
    pattern, text = made
    found = re.search(pattern, text)
    assert found is not None
    assert Words([pattern]).are_in(text)
