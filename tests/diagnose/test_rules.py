"""The table of rules: each stands on a real reply, and wins it; none is dead."""

import re

import pytest

from app.codes import Code
from app.diagnose.diagnose import explain
from app.diagnose.rules import CLIENT_ONLY, Rule, load_rules

BY_EVENT = {
    Code.ADDRESS_NOT_ALLOWED,
    Code.ALL_MAIL_HIDDEN,
    Code.AUTH_NO_ANSWER,
    Code.INTERRUPTED,
    Code.NOT_CHECKED,
    Code.UNCLASSIFIED,
}
"""Codes that no words lead to: they say what the service itself met."""


@pytest.mark.parametrize("rule", load_rules(), ids=lambda rule: rule.id)
def test_a_rule_wins_its_own_example(rule: Rule) -> None:
    found = explain(
        rule.example,
        protocol=rule.example_protocol,
        stage=rule.example_stage,
        provider=next(iter(sorted(rule.providers)), ""),
    )
    assert (found.rule, found.code) == (rule.id, rule.code)


@pytest.mark.parametrize("rule", load_rules(), ids=lambda rule: rule.id)
def test_a_rule_says_where_its_example_was_read_and_when(rule: Rule) -> None:
    assert re.match(r"https://\S+$|lab:\S", rule.source), rule.source
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", rule.read)
    assert rule.of in {"", CLIENT_ONLY}


def test_no_two_rules_have_one_name() -> None:
    names = [rule.id for rule in load_rules()]
    assert len(names) == len(set(names))


def test_a_rule_without_conditions_would_take_everything() -> None:
    for rule in load_rules():
        conditions = (rule.words, rule.codes, rule.enhanced, rule.response_codes, rule.statuses)
        assert any(conditions), rule.id


def test_every_code_that_words_can_tell_has_a_rule() -> None:
    assert set(Code) - {rule.code for rule in load_rules()} == BY_EVENT
