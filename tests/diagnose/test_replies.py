"""Real replies come to the right codes, and quickly; structure and sense carry, not memory."""

import re
import sys
import time

import pytest

from app.diagnose.rules import find_rule
from tests.replies.read import leave_one_provider_out, list_wrong, read_replies, share_right


def test_the_replies_collected_first_come_to_their_codes() -> None:
    replies = read_replies("dev.jsonl")
    assert share_right(replies) >= 0.97, "\n".join(list_wrong(replies))


def test_replies_of_other_servers_come_to_their_codes() -> None:
    replies = read_replies("more.jsonl")
    assert share_right(replies) >= 0.95, "\n".join(list_wrong(replies))


def test_a_reply_says_where_it_was_read_and_when() -> None:
    for known in read_replies("more.jsonl"):
        assert re.match(r"https?://\S+$|lab:\S", known.source), known.id
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", known.read), known.id


def test_no_reply_has_the_name_of_another() -> None:
    names = [known.id for name in ("dev.jsonl", "more.jsonl") for known in read_replies(name)]
    assert len(names) == len(set(names))


def test_what_no_rule_was_made_for_at_a_provider_is_still_read_right(capsys: pytest.CaptureFixture[str]) -> None:
    share, wrong = leave_one_provider_out(read_replies("dev.jsonl"))
    with capsys.disabled():
        told = "\n".join(f"  {line}" for line in wrong)
        sys.stdout.write(f"\nEach provider judged without the rules that it alone gave: {share:.1%} right\n{told}\n")
    assert share >= 0.75


def test_an_answer_takes_less_than_a_millisecond(capsys: pytest.CaptureFixture[str]) -> None:
    replies = read_replies("dev.jsonl")
    took = dict.fromkeys((known.id for known in replies), 1.0)
    for _ in range(3):
        find_rule.cache_clear()
        for known in replies:
            began = time.perf_counter()
            known.judge()
            took[known.id] = min(took[known.id], time.perf_counter() - began)
    each, slowest = sum(took.values()) / len(took), max(took.values())
    with capsys.disabled():
        sys.stdout.write(f"\nOne answer: {each * 1000:.2f} ms on average, {slowest * 1000:.2f} ms at most\n")
    assert each < 0.001
