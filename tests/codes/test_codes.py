"""Every code has its facts, in words for people; the set is closed."""

import string

import pytest

from app.codes import FACTS, Code
from app.model import Fault

STATUSES = {
    "",
    "OK",
    "INVALID_CREDENTIALS",
    "DISABLED",
    "TEMP_DISABLED",
    "CONNECTION_IMPOSSIBLE",
    "NO_ACCESS_TO_ALL_MAIL",
}
FIELDS = {
    "app_password_hint",
    "called",
    "help",
    "host",
    "mailbox",
    "names",
    "names_hint",
    "port",
    "ports_hint",
    "protocol",
    "provider",
    "ssl_port",
    "token_field",
}
"""What a remedy may have filled in."""


def test_every_code_has_its_facts_and_no_facts_lack_a_code() -> None:
    assert set(FACTS) == set(Code)


@pytest.mark.parametrize("code", Code)
def test_facts_are_complete_and_a_remedy_is_two_sentences_at_most(code: Code) -> None:
    facts = FACTS[code]
    assert facts.title
    assert facts.group in {"Result", "Credentials", "Account", "Policy", "Limits", "Settings", "TLS", "Network"}
    assert facts.status in STATUSES
    assert facts.meaning.endswith(".")
    assert facts.remedy.endswith((".", "}"))
    assert facts.remedy.count(". ") <= 1


@pytest.mark.parametrize("code", Code)
def test_a_remedy_asks_only_for_what_is_filled_in(code: Code) -> None:
    asked = {name for _, name, _, _ in string.Formatter().parse(FACTS[code].remedy) if name}
    assert asked - FIELDS == set()


def test_who_must_act_is_told_of_every_failure() -> None:
    nobody = {code for code, facts in FACTS.items() if facts.fault is Fault.NOBODY}
    assert nobody == {Code.OK, Code.NOT_CHECKED}


def test_what_the_user_must_mend_does_not_pass_by_itself() -> None:
    passing = {code for code, facts in FACTS.items() if facts.is_retryable}
    assert not passing & {
        Code.OK,
        Code.INVALID_CREDENTIALS,
        Code.APP_PASSWORD_REQUIRED,
        Code.OAUTH_REQUIRED,
        Code.PASSWORD_EXPIRED,
        Code.ACCOUNT_DISABLED,
        Code.SMTP_AUTH_DISABLED,
        Code.IMAP_DISABLED,
    }
    assert passing >= {Code.RATE_LIMITED, Code.TEMPORARY_SERVER_ERROR, Code.CONNECTION_TIMEOUT, Code.AUTH_NO_ANSWER}
