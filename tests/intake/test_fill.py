"""A side's server and user name come from the row, else from the provider, else from usage; each says whence."""

import pytest

from app.intake.fill import Filled, Known, Problem, fill_server, find_username_rule
from app.intake.presets import Preset, find_preset
from app.model import Encryption, Protocol, Source

SMTP, IMAP = Protocol.SMTP, Protocol.IMAP
SSL, STARTTLS, NONE = Encryption.SSL, Encryption.STARTTLS, Encryption.NONE
ROW, PRESET, DOMAIN, USUAL = Source.ROW, Source.PRESET, Source.DOMAIN_PRESET, Source.USUAL
NOBODY = Known(None, DOMAIN)


def named(slug: str) -> Known:
    preset = find_preset(slug)
    assert preset is not None
    return Known(preset, PRESET)


def fill(
    protocol: Protocol, known: Known, host: str = "", port: int = 0, word: str = "", domain: str = "example.com"
) -> Filled:
    return fill_server(protocol, known, domain, host, port, word)


def settings_of(filled: Filled) -> tuple[str, int, Encryption | None]:
    assert filled.problems == ()
    return filled.host, filled.port, filled.encryption


def test_what_the_row_says_stands() -> None:
    filled = fill(SMTP, NOBODY, "mail.example.com", 2525, "starttls")
    assert settings_of(filled) == ("mail.example.com", 2525, STARTTLS)
    assert filled.sources == {"host": ROW, "port": ROW, "encryption": ROW}
    assert filled.preset is None


@pytest.mark.parametrize(
    ("protocol", "host", "port", "word", "settings"),
    [
        (IMAP, "mail.example.com", 993, "", ("mail.example.com", 993, SSL)),
        (SMTP, "mail.example.com", 587, "", ("mail.example.com", 587, STARTTLS)),
        (SMTP, "mail.example.com", 465, "tls", ("mail.example.com", 465, SSL)),
        (SMTP, "mail.example.com", 587, "TLS", ("mail.example.com", 587, STARTTLS)),
        (SMTP, "mail.example.com", 0, "tls", ("mail.example.com", 587, STARTTLS)),
        (IMAP, "mail.example.com", 0, "tls", ("mail.example.com", 143, STARTTLS)),
        (IMAP, "mail.example.com", 0, "ssl", ("mail.example.com", 993, SSL)),
        (IMAP, "mail.example.com", 0, "", ("mail.example.com", 993, SSL)),
        (SMTP, "mail.example.com", 0, "none", ("mail.example.com", 587, NONE)),
        (SMTP, "mail.example.com:2525", 0, "", ("mail.example.com", 2525, STARTTLS)),
        (SMTP, "mail.example.com:2525", 465, "", ("mail.example.com", 465, SSL)),
        (IMAP, "imaps://mail.example.com", 0, "", ("mail.example.com", 993, SSL)),
        (IMAP, "imaps://mail.example.com", 1993, "", ("mail.example.com", 1993, SSL)),
        (IMAP, "imaps://mail.example.com", 143, "starttls", ("mail.example.com", 143, STARTTLS)),
        (SMTP, "smtps://mail.example.com", 587, "", ("mail.example.com", 587, SSL)),
    ],
)
def test_port_and_mode_are_read_together(
    protocol: Protocol, host: str, port: int, word: str, settings: tuple[str, int, Encryption]
) -> None:
    assert settings_of(fill(protocol, NOBODY, host, port, word)) == settings


def test_a_scheme_is_the_rows_own_word() -> None:
    filled = fill(IMAP, NOBODY, "imaps://mail.example.com:993")
    assert filled.sources == {"host": ROW, "port": ROW, "encryption": ROW}


def test_a_port_alone_leaves_the_mode_to_usage() -> None:
    filled = fill(IMAP, NOBODY, "mail.example.com", 993)
    assert filled.sources == {"host": ROW, "port": ROW, "encryption": USUAL}
    filled = fill(IMAP, NOBODY, "mail.example.com")
    assert filled.sources == {"host": ROW, "port": USUAL, "encryption": USUAL}


def test_a_named_provider_fills_all() -> None:
    filled = fill(SMTP, named("gmail"))
    assert settings_of(filled) == ("smtp.gmail.com", 465, SSL)
    assert filled.sources == {"host": PRESET, "port": PRESET, "encryption": PRESET}
    assert filled.preset is find_preset("gmail")


def test_a_domains_provider_fills_all_and_says_so() -> None:
    filled = fill(IMAP, Known(find_preset("gmail"), DOMAIN))
    assert filled.sources == {"host": DOMAIN, "port": DOMAIN, "encryption": DOMAIN}


def test_the_providers_other_offer_is_taken_where_the_row_names_its_mode_or_port() -> None:
    filled = fill(SMTP, named("gmail"), word="starttls")
    assert settings_of(filled) == ("smtp.gmail.com", 587, STARTTLS)
    assert filled.sources == {"host": PRESET, "port": PRESET, "encryption": ROW}
    filled = fill(SMTP, named("gmail"), port=587)
    assert settings_of(filled) == ("smtp.gmail.com", 587, STARTTLS)
    assert filled.sources == {"host": PRESET, "port": ROW, "encryption": USUAL}


def test_a_mode_that_the_provider_does_not_offer_gets_its_usual_port() -> None:
    filled = fill(IMAP, named("gmail"), word="starttls")
    assert settings_of(filled) == ("imap.gmail.com", 143, STARTTLS)
    assert filled.sources["port"] is USUAL


def test_tls_without_a_port_means_what_the_provider_speaks() -> None:
    assert settings_of(fill(SMTP, named("gmail"), word="tls")) == ("smtp.gmail.com", 465, SSL)
    assert settings_of(fill(SMTP, named("microsoft365"), word="tls")) == ("smtp.office365.com", 587, STARTTLS)


def test_the_domain_is_filled_into_a_providers_host() -> None:
    assert settings_of(fill(IMAP, named("bluehost"))) == ("mail.example.com", 993, SSL)


def test_whose_server_a_host_is_is_told_by_the_host() -> None:
    assert fill(SMTP, NOBODY, "smtp.sendgrid.net").preset is find_preset("sendgrid")
    assert fill(IMAP, named("gmail"), "imap.gmail.com").preset is find_preset("gmail")
    # A domain's provider is not whoever runs another host; a named one is, as far as nobody else is known to be.
    assert fill(IMAP, Known(find_preset("gmail"), DOMAIN), "mail.example.com").preset is None
    assert fill(IMAP, named("gmail"), "mail.example.com").preset is find_preset("gmail")


def test_the_rows_host_takes_nothing_from_a_provider_that_is_elsewhere() -> None:
    filled = fill(SMTP, named("microsoft365"), "mail.example.com")
    assert settings_of(filled) == ("mail.example.com", 465, SSL)
    assert filled.sources == {"host": ROW, "port": USUAL, "encryption": USUAL}


def test_with_no_host_the_domain_is_left_to_lead_to_one() -> None:
    assert fill(SMTP, NOBODY) == Filled("", 0, None, None, {})
    assert fill(SMTP, NOBODY, port=465) == Filled("", 465, SSL, None, {"port": ROW, "encryption": USUAL})
    assert fill(SMTP, NOBODY, word="ssl") == Filled("", 0, SSL, None, {"encryption": ROW})
    assert fill(SMTP, NOBODY, word="tls") == Filled("", 0, None, None, {})
    assert fill(SMTP, NOBODY, port=587, word="tls") == Filled("", 587, STARTTLS, None, {"port": ROW, "encryption": ROW})


def test_with_neither_host_nor_domain_the_host_is_missing() -> None:
    assert fill(SMTP, NOBODY, domain="").problems == (("smtpHost", "missing", "smtpHost is missing."),)


@pytest.mark.parametrize(("protocol", "name"), [(SMTP, "smtpHost"), (IMAP, "imapHost")])
def test_a_provider_with_a_host_for_each_customer_wants_it_brought(protocol: Protocol, name: str) -> None:
    ((field, code, message),) = fill(protocol, named("zimbra")).problems
    assert (field, code) == (name, "missing")
    assert "Zimbra" in message


def test_a_named_provider_without_that_side_leaves_it_to_the_domain() -> None:
    assert fill(IMAP, named("sendgrid")) == Filled("", 0, None, find_preset("sendgrid"), {})


@pytest.mark.parametrize("host", ["not a host", "http://example.com", "a..b"])
def test_a_host_that_is_none_is_told(host: str) -> None:
    ((field, code, message),) = fill(SMTP, NOBODY, host).problems
    assert (field, code) == ("smtpHost", "format")
    assert host in message


def test_a_word_that_means_nothing_is_told() -> None:
    ((field, code, _),) = fill(IMAP, NOBODY, "mail.example.com", 993, "quantum").problems
    assert (field, code) == ("imapEncryption", "value")


ADDRESS = "sales@example.com"


def username_of(
    protocol: Protocol, preset: Preset | None, source: Source, other: str = ""
) -> tuple[str, Source, Problem | None]:
    """Return the user name that a side gets, where it came from, and why there is none."""
    rule = find_username_rule(protocol, preset, source, bool(other))
    return (rule.pick(other, ADDRESS) if rule.pick is not None else ADDRESS), rule.source, rule.problem


def test_a_user_name_is_the_other_sides_else_the_address() -> None:
    assert username_of(SMTP, None, DOMAIN, "other") == ("other", Source.OTHER_SIDE, None)
    assert username_of(SMTP, None, DOMAIN, "another") == ("another", Source.OTHER_SIDE, None)
    assert username_of(SMTP, None, DOMAIN) == (ADDRESS, Source.ADDRESS, None)


def test_a_provider_may_want_the_local_part_or_the_address() -> None:
    icloud = find_preset("icloud")
    assert icloud is not None
    assert icloud.imap_username == "localpart"
    assert username_of(IMAP, icloud, DOMAIN) == ("sales", DOMAIN, None)
    assert username_of(SMTP, find_preset("gmail"), PRESET) == (ADDRESS, PRESET, None)


def test_a_prescribed_name_goes_before_the_other_sides() -> None:
    assert username_of(SMTP, find_preset("sendgrid"), PRESET, "other") == ("apikey", PRESET, None)
    assert username_of(SMTP, find_preset("mailtrap"), PRESET, "other") == ("api", PRESET, None)


def test_a_token_that_is_its_own_user_name_is_not_written_out() -> None:
    assert username_of(SMTP, find_preset("postmark"), PRESET, "other") == ("", PRESET, None)


def test_a_provider_whose_names_nobody_can_guess_wants_one() -> None:
    text, _, problem = username_of(SMTP, find_preset("ses"), PRESET)
    assert text == ""
    assert problem is not None
    assert problem[:2] == ("smtpUserName", "missing")
