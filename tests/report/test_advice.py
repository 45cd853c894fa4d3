"""What to do, in at most two sentences of plain words, whatever the code, the provider and what is known."""

import re
from itertools import product

import pytest

from app.codes import FACTS, Code
from app.intake.presets import list_presets
from app.model import Encryption, Protocol, Server
from app.report.advice import Situation, find_help, lead_with, render_diagnosis, render_remedy
from app.verdict import describe

SMTP, IMAP = Protocol.SMTP, Protocol.IMAP
SSL, STARTTLS, NONE = Encryption.SSL, Encryption.STARTTLS, Encryption.NONE

_END = re.compile(r"[.?!](?=\s|$)")
_JARGON = re.compile(
    r"\b(AUTH|EHLO|SASL|MX|SPF|credentials?|tenant|handshake|cipher|resolv\w+|client)\b", re.IGNORECASE
)
PROVIDERS = ["", "nobody", *(preset.slug for preset in list_presets())]


def sentences(text: str) -> int:
    return len(_END.findall(text))


@pytest.mark.parametrize("code", Code)
def test_a_remedy_is_two_sentences_at_most_for_every_provider(code: Code) -> None:
    for provider, protocol, host in product(PROVIDERS, Protocol, ("", "mail.example.com")):
        text = render_remedy(code, describe(protocol, provider, host=host, port=587, encryption=STARTTLS, count=1))
        assert 1 <= sentences(text) <= 2, text
        assert text.endswith("."), text
        assert text[0].isupper() or text.startswith(("mail.example.com", "1&1 ")), text
        assert "{" not in text
        assert "  " not in text


@pytest.mark.parametrize("code", Code)
def test_a_remedy_reads_well_where_nothing_is_known(code: Code) -> None:
    for protocol in Protocol:
        text = render_remedy(code, Situation(protocol))
        assert not re.search(r"\?|[a-z] The |port 0|\( ?\)|None", text), text


@pytest.mark.parametrize("code", Code)
def test_nobody_needs_to_know_the_trades_words(code: Code) -> None:
    text = render_remedy(code, Situation(SMTP, host="mail.example.com", port=587))
    assert not _JARGON.search(text), text
    assert not _JARGON.search(FACTS[code].title), FACTS[code].title


@pytest.mark.parametrize("code", Code)
def test_a_code_is_told_whole(code: Code) -> None:
    told = render_diagnosis(code)
    facts = FACTS[code]
    assert (told["code"], told["title"], told["meaning"]) == (code.value, facts.title, facts.meaning)
    assert (told["group"], told["retryable"]) == (facts.group, facts.is_retryable)
    assert (told["fault"], told["contextIoStatus"]) == (facts.fault.value or None, facts.status or None)
    assert 1 <= sentences(str(told["remedy"])) <= 2
    assert isinstance(told["helpPages"], list)


def test_a_code_lists_the_help_pages_of_all_providers() -> None:
    pages = render_diagnosis(Code.APP_PASSWORD_REQUIRED)["helpPages"]
    assert isinstance(pages, list)
    assert {page["provider"] for page in pages} >= {"gmail", "yahoo", "icloud", "zoho"}
    assert all(set(page) == {"provider", "what", "page"} and page["page"].startswith("https://") for page in pages)
    assert render_diagnosis(Code.OK)["helpPages"] == []


def test_help_pages_are_of_providers_and_codes_that_exist() -> None:
    slugs = {preset.slug for preset in list_presets()}
    found = {(slug, code) for slug in slugs for code in Code if find_help(code, slug) is not None}
    listed = [page for code in Code for page in (render_diagnosis(code)["helpPages"],) if isinstance(page, list)]
    assert len(found) == sum(len(pages) for pages in listed) > 10


def test_the_providers_page_stands_where_a_person_must_click() -> None:
    assert render_remedy(Code.APP_PASSWORD_REQUIRED, describe(SMTP, "gmail")) == (
        "Gmail wants an app password, a separate password for mail programs. Create one with 2-Step Verification on "
        "(https://myaccount.google.com/apppasswords) and put it in place of the normal password."
    )
    page = find_help(Code.SMTP_AUTH_DISABLED, "microsoft365")
    assert page is not None
    assert f"{page.what} ({page.page})." in render_remedy(Code.SMTP_AUTH_DISABLED, describe(SMTP, "microsoft365"))


def test_a_page_needs_no_words_of_its_own() -> None:
    assert find_help(Code.OAUTH_REQUIRED, "outlook") is not None
    assert "access token" in render_remedy(Code.OAUTH_REQUIRED, describe(IMAP, "outlook"))


@pytest.mark.parametrize(
    ("code", "provider", "protocol", "words"),
    [
        (Code.APP_PASSWORD_REQUIRED, "posteo", SMTP, "Create an app password in the Posteo settings first."),
        (Code.APP_PASSWORD_REQUIRED, "qq", IMAP, "Switch on IMAP/SMTP in the settings and use the authorisation code"),
        (Code.IMAP_DISABLED, "web_de", IMAP, "Switch on POP3/IMAP access in the mail settings first"),
        (Code.SMTP_AUTH_DISABLED, "free_fr", SMTP, "Switch on authenticated SMTP in the Free account first."),
        (Code.IMAP_DISABLED, "ionos_de", IMAP, "Turn it on in the mailbox settings"),
        (Code.IMAP_DISABLED, "tuta", IMAP, "No IMAP or SMTP access exists: this mailbox cannot be connected."),
        (Code.SMTP_AUTH_DISABLED, "hey", SMTP, "No IMAP or SMTP access exists: this mailbox cannot be connected."),
        (Code.APP_PASSWORD_REQUIRED, "namecheap", IMAP, "Create one and put it in place"),
        (Code.APP_PASSWORD_REQUIRED, "ovh", IMAP, "Create one and put it in place"),
    ],
)
def test_without_a_page_what_is_known_of_the_provider_helps(
    code: Code, provider: str, protocol: Protocol, words: str
) -> None:
    assert words in render_remedy(code, describe(protocol, provider))


def test_only_where_app_passwords_are_the_rule_a_refused_password_hints_at_them() -> None:
    hint = "an app password in place of the normal one"
    assert hint in render_remedy(Code.INVALID_CREDENTIALS, describe(IMAP, "zoho_eu"))
    assert hint not in render_remedy(Code.INVALID_CREDENTIALS, describe(IMAP, "ionos_de"))


@pytest.mark.parametrize(
    ("protocol", "port", "encryption", "words"),
    [
        (SMTP, 25, NONE, "Use port 465 with encryption ssl, or port 587 with encryption starttls."),
        (SMTP, 465, STARTTLS, "Use port 465 with encryption ssl, or port 587 with encryption starttls."),
        (SMTP, 465, SSL, "Use port 587 with encryption starttls."),
        (IMAP, 143, STARTTLS, "Use port 993 with encryption ssl."),
    ],
)
def test_what_was_tried_is_not_recommended(protocol: Protocol, port: int, encryption: Encryption, words: str) -> None:
    given = Situation(protocol, host="mail.example.com", port=port, encryption=encryption)
    assert render_remedy(Code.TLS_MODE_MISMATCH, given) == f"Port and encryption do not fit together. {words}"


def test_the_providers_own_ports_are_named_where_they_are_known() -> None:
    host = "smtp.office365.com"
    wrong = describe(SMTP, "microsoft365", host=host, port=465, encryption=SSL)
    assert render_remedy(Code.TLS_MODE_MISMATCH, wrong).endswith("Use port 587 with encryption starttls.")
    only = Situation(SMTP, "x", "Example Mail", host, 587, STARTTLS, servers=[Server(host, 587, STARTTLS)])
    assert render_remedy(Code.TLS_REQUIRED, only).endswith("Ask Example Mail how other programs may log in.")


def test_a_login_that_no_port_takes_is_a_question_to_the_provider() -> None:
    usual = Situation(IMAP, host="mail.example.com", port=993, encryption=SSL)
    assert render_remedy(Code.AUTH_MECHANISM_UNSUPPORTED, usual) == (
        "On port 993, mail.example.com offers no login that works with what was given. "
        "Ask your mail provider how other programs may log in."
    )
    odd = Situation(SMTP, host="mail.example.com", port=25, encryption=NONE)
    assert "Use port 465" in render_remedy(Code.AUTH_MECHANISM_UNSUPPORTED, odd)


@pytest.mark.parametrize(("protocol", "port"), [(SMTP, 465), (IMAP, 993)])
def test_a_port_that_cannot_switch_to_encryption_is_left_for_one_that_begins_with_it(
    protocol: Protocol, port: int
) -> None:
    given = Situation(protocol, host="mail.example.com", port=2525, encryption=STARTTLS)
    assert render_remedy(Code.STARTTLS_UNSUPPORTED, given) == (
        f"Port 2525 of mail.example.com cannot switch to encryption (starttls). Use port {port} with encryption ssl."
    )
    own = Situation(protocol, host="a.example", servers=[Server("a.example", 1, NONE), Server("a.example", 4465, SSL)])
    assert render_remedy(Code.STARTTLS_UNSUPPORTED, own).endswith("Use port 4465 with encryption ssl.")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "for another name. Ask your mail provider for the right server name."),
        (("*.example.net",), "for *.example.net. Ask your mail provider for the right server name."),
        (
            ("*.example.net", "mx.example.net", "a.example", "b.example"),
            "for *.example.net, mx.example.net, a.example. Use mx.example.net as the server, if it is your provider's.",
        ),
    ],
)
def test_the_names_of_a_certificate_are_said(names: tuple[str, ...], words: str) -> None:
    given = Situation(SMTP, host="mail.example.com", certificate_names=names)
    shown = render_remedy(Code.TLS_HOSTNAME_MISMATCH, given)
    assert shown == f"mail.example.com shows a security certificate {words}"


def test_a_servers_name_is_written_as_it_is_and_begins_no_sentence_otherwise() -> None:
    assert render_remedy(Code.RATE_LIMITED, Situation(SMTP, host="mail.example.com")).startswith("mail.example.com ")
    assert render_remedy(Code.RATE_LIMITED, Situation(SMTP)).startswith("The server ")
    assert "connected to the server at once" in render_remedy(Code.TOO_MANY_CONNECTIONS, Situation(SMTP))
    assert render_remedy(Code.DNS_NOT_FOUND, Situation(SMTP)).startswith("There is no mail server of this name.")


def test_many_mailboxes_are_spoken_of_as_many() -> None:
    remedy = render_remedy(Code.SMTP_AUTH_DISABLED, Situation(SMTP, count=40, domain="example.com"))
    assert "switched off for these 40 mailboxes of example.com." in remedy
    assert "for these 3 mailboxes." in render_remedy(Code.SMTP_AUTH_DISABLED, Situation(SMTP, count=3))


def test_a_token_goes_into_the_column_of_its_side() -> None:
    for protocol in Protocol:
        assert f"{protocol}AccessToken" in render_remedy(Code.OAUTH_REQUIRED, Situation(protocol))


def test_what_is_known_better_takes_the_first_sentences_place() -> None:
    assert lead_with("IMAP took the same password.", "It was refused. Type it again.") == (
        "IMAP took the same password. Type it again."
    )
    assert lead_with("Both failed.", "Check again later.") == "Both failed. Check again later."
    assert lead_with("It is right. Look elsewhere.", "It was refused. Type it again.") == "It is right. Look elsewhere."
