"""Rows that cannot work are told so before anything is dialled, and only those."""

import csv
from importlib.resources import files

import pytest

from app.codes import FACTS, Code
from app.intake.policy import judge_before_dialling
from app.intake.presets import find_preset
from app.model import Protocol

SMTP, IMAP = Protocol.SMTP, Protocol.IMAP
TABLE = list(csv.DictReader(files("app.intake").joinpath("data/policies.csv").read_text("utf-8").splitlines()))


def test_a_password_is_not_taken_to_a_provider_that_wants_tokens() -> None:
    refusal = judge_before_dialling("outlook", IMAP, host="", is_token=False)
    assert refusal is not None
    assert refusal.code == "oauth_required"
    assert refusal.rule == "policy:outlook"
    assert refusal.note


def test_a_token_may_go_there() -> None:
    assert judge_before_dialling("outlook", IMAP, host="outlook.office365.com", is_token=True) is None


def test_another_name_of_the_provider_is_judged_alike() -> None:
    told = judge_before_dialling("hotmail", SMTP, host="", is_token=False)
    assert told == judge_before_dialling("outlook", SMTP, host="", is_token=False)
    assert told is not None


@pytest.mark.parametrize("is_token", [True, False])
def test_a_provider_with_no_mail_programs_refuses_everybody(is_token: bool) -> None:
    refusal = judge_before_dialling("tuta", IMAP, host="", is_token=is_token)
    assert refusal is not None
    assert refusal.code == "imap_disabled"


def test_the_providers_own_host_is_judged_and_a_strangers_is_not() -> None:
    assert judge_before_dialling("outlook", IMAP, host="outlook.office365.com", is_token=False) is not None
    assert judge_before_dialling("outlook", IMAP, host="imap.example.com", is_token=False) is None


@pytest.mark.parametrize("provider", ["", "gmail", "nobody knows it"])
def test_everybody_else_is_dialled(provider: str) -> None:
    assert judge_before_dialling(provider, SMTP, host="", is_token=False) is None


@pytest.mark.parametrize("line", TABLE, ids=lambda line: f"{line['slug']}-{line['protocol']}")
def test_every_policy_has_its_preset_its_code_its_source_and_its_day(line: dict[str, str]) -> None:
    preset = find_preset(line["slug"])
    assert preset is not None
    assert preset.slug == line["slug"]
    assert Protocol(line["protocol"])
    assert line["credential"] in {"any", "password", "token"}
    assert Code(line["code"]) in FACTS
    assert line["note"].endswith(".")
    assert line["source"].startswith("https://")
    assert line["read"]
