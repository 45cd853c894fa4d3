"""What is known of providers beforehand is found by any of their names, and is sound."""

import csv
from collections import Counter
from importlib.resources import files

import pytest

from app.intake.address import is_host
from app.intake.encryption import normalise
from app.intake.presets import (
    FIXED_USERNAMES,
    PASSWORD_IS_USERNAME,
    Preset,
    find_preset,
    find_preset_by_domain,
    find_preset_by_host,
    find_preset_by_mx,
    list_presets,
    load_presets,
    provider_name,
)
from app.model import Encryption, Protocol, Server

SMTP, IMAP = Protocol.SMTP, Protocol.IMAP
TABLE = list(csv.DictReader(files("app.intake").joinpath("data/providers.csv").read_text("utf-8").splitlines()))


def test_a_provider_is_found_by_its_slug_and_by_what_others_call_it() -> None:
    load_presets()
    assert find_preset("gsuite") is find_preset("Google Workspace") is find_preset("google_oauth2")
    assert find_preset("gsuite") is not find_preset("gmail")
    assert find_preset("nobody") is None


def test_a_provider_is_found_by_domain_host_and_mail_exchanger() -> None:
    gmail = find_preset("gmail")
    assert find_preset_by_domain("GMAIL.com") is gmail
    assert find_preset_by_domain("example.com") is None
    assert find_preset_by_host("IMAP.gmail.com") is gmail
    assert find_preset_by_host("imap.example.com") is None
    assert find_preset_by_host("127.0.0.1") is None


def test_a_provider_is_found_by_its_host_in_any_region() -> None:
    assert find_preset_by_host("email-smtp.eu-west-1.amazonaws.com") is find_preset("ses")
    assert find_preset_by_host("email-smtp.example.com") is None
    assert find_preset_by_host("x.email-smtp.eu-west-1.amazonaws.com") is None
    assert find_preset_by_host("email-smtp.a.b.amazonaws.com") is None


def test_the_longest_suffix_of_a_mail_exchanger_wins() -> None:
    assert find_preset_by_mx("gmail-smtp-in.l.google.com") is find_preset("gmail")
    assert find_preset_by_mx("ASPMX.l.google.com.") is find_preset("gsuite")
    assert find_preset_by_mx("example-com.mail.protection.outlook.com") is find_preset("microsoft365")
    assert find_preset_by_mx("example-com.olc.protection.outlook.com") is find_preset("outlook")
    assert find_preset_by_mx("mx.example.com") is None
    assert find_preset_by_mx("notgoogle.com") is None


def test_a_provider_has_a_name_for_people() -> None:
    assert provider_name("gsuite") == "Google Workspace"
    assert provider_name("nobody") == ""


def test_a_host_with_the_domain_in_it_is_filled_in() -> None:
    preset = _with_domain_in_host()
    server = preset.server(IMAP, "example.com") or preset.server(SMTP, "example.com")
    assert server is not None
    assert "example.com" in server.host


def test_a_side_that_a_provider_does_not_offer_has_no_server() -> None:
    sendgrid = find_preset("sendgrid")
    assert sendgrid is not None
    assert sendgrid.server(IMAP, "example.com") is None
    assert sendgrid.server(SMTP, "example.com") == Server("smtp.sendgrid.net", 587, Encryption.STARTTLS)


def test_a_host_that_each_customer_has_for_himself_must_be_brought() -> None:
    bringing = [preset for preset in list_presets() for server in (preset.smtp, preset.imap) if _is_brought(server)]
    assert bringing
    for preset in bringing:
        assert None in (preset.server(SMTP, "example.com"), preset.server(IMAP, "example.com"))


def test_alternatives_and_user_names_are_those_of_the_side() -> None:
    gmail = find_preset("gmail")
    assert gmail is not None
    assert gmail.alternatives(SMTP) == (Server("smtp.gmail.com", 587, Encryption.STARTTLS),)
    assert gmail.alternatives(IMAP) == gmail.imap_alternatives
    icloud = find_preset("icloud")
    assert icloud is not None
    assert icloud.username_rule(SMTP) == icloud.smtp_username
    assert icloud.username_rule(IMAP) == icloud.imap_username
    assert gmail.owns("smtp.gmail.com")
    assert not gmail.owns("smtp.example.com")


@pytest.mark.parametrize("preset", list_presets(), ids=lambda preset: preset.slug)
def test_every_preset_is_sound(preset: Preset) -> None:
    assert preset.name
    assert preset.auth in {"password", "app_password", "oauth", "none"}
    for side, rule in ((preset.smtp, preset.smtp_username), (preset.imap, preset.imap_username)):
        assert rule in {"", "address", "localpart", "other"}
        assert side is None or rule
    for server in (preset.smtp, preset.imap, *preset.smtp_alternatives, *preset.imap_alternatives):
        if server is not None:
            assert is_host(server.host.replace("{domain}", "example.com").replace("{", "").replace("}", ""))
            assert server.host == server.host.lower()
            assert 1 <= server.port <= 65535
            assert server.encryption is not Encryption.NONE


def test_no_name_domain_or_suffix_leads_to_two_providers() -> None:
    names = [
        {normalise(name) for name in (line["slug"], *line["aliases"].split("|")) if normalise(name)} for line in TABLE
    ]
    domains = [set(filter(None, line["email_domains"].split("|"))) for line in TABLE]
    suffixes = [set(filter(None, line["mx_suffixes"].split("|"))) for line in TABLE]
    for column in (names, domains, suffixes):
        counted = Counter(entry for entries in column for entry in entries)
        assert {entry for entry, count in counted.items() if count > 1} == set()
    assert all(domain == domain.lower() for column in (domains, suffixes) for entries in column for domain in entries)


def test_every_preset_names_its_sources() -> None:
    assert [line["slug"] for line in TABLE if not line["source"]] == []


def test_user_names_by_rule_belong_to_presets() -> None:
    slugs = {preset.slug for preset in list_presets()}
    assert set(FIXED_USERNAMES) | PASSWORD_IS_USERNAME <= slugs


def _with_domain_in_host() -> Preset:
    found = [
        preset
        for preset in list_presets()
        if any(server is not None and "{domain}" in server.host for server in (preset.smtp, preset.imap))
    ]
    assert found
    return found[0]


def _is_brought(server: Server | None) -> bool:
    return server is not None and "{" in server.host and "{domain}" not in server.host
