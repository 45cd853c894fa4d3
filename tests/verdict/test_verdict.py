"""What a check came to: a result for each side, with words that fit what is known of it and of the other side."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest

from app.checked import Certificate, Checked, Failure, FailureKind, Reply, Trace
from app.codes import Code
from app.diagnose.diagnose import Diagnosis, diagnose_checked
from app.intake.policy import judge_before_dialling
from app.model import Correction, Encryption, Fault, Mechanism, Protocol, Server, Side, SideStatus, Stage
from app.verdict import SideVerdict, describe, join, judge, not_dialled

SMTP, IMAP = Protocol.SMTP, Protocol.IMAP
SERVER = Server("smtp.example.com", 465, Encryption.SSL)
TRACE = Trace(
    SERVER,
    address="192.0.2.1",
    tls_version="TLSv1.3",
    certificate=Certificate(("smtp.example.com",), datetime(2027, 1, 1, tzinfo=UTC)),
    mechanism=Mechanism.PLAIN,
    timings={"connect": 3},
    sent_credentials=True,
)
REFUSED = Failure(FailureKind.REPLY, Stage.AUTH, Reply("5.7.8 Bad credentials", 535))
_END = re.compile(r"[.?!](?=\s|$)")


def side_of(code: Code, protocol: Protocol = SMTP, provider: str = "") -> SideVerdict:
    failure = None if code is Code.OK else REFUSED
    return judge(provider, Side(), Checked(protocol, TRACE, failure), Diagnosis(code, "test"))


def test_a_login_that_works_keeps_what_was_seen() -> None:
    checked = Checked(SMTP, TRACE, reply=Reply("2.7.0 Accepted", 235))
    mended = Correction("smtpPort", "25", "465", "Port 25 is for servers.")
    verdict = judge("", Side(), checked, diagnose_checked(checked), corrections=[mended], dials=2)
    result = verdict.result
    assert (result.status, result.code, result.fault, result.is_retryable) == (SideStatus.OK, "ok", Fault.NOBODY, False)
    assert (result.remedy, result.stage, result.warning, result.reply) == ("", None, "", "235 2.7.0 Accepted")
    assert (result.host, result.port, result.encryption) == ("smtp.example.com", 465, Encryption.SSL)
    assert (result.address, result.tls_version, result.mechanism) == ("192.0.2.1", "TLSv1.3", "PLAIN")
    assert (result.certificate_names, result.timings) == (("smtp.example.com",), {"connect": 3})
    assert (result.attempts, result.logins, result.corrections) == (2, 1, (mended,))
    assert (verdict.sent_credentials, verdict.is_answered, verdict.is_final) == (True, True, False)


def test_a_refused_login_has_the_servers_words_and_a_remedy() -> None:
    checked = Checked(SMTP, TRACE, REFUSED)
    result = judge("gmail", Side(), checked, diagnose_checked(checked)).result
    assert (result.status, result.code, result.stage) == (SideStatus.FAILED, "invalid_credentials", Stage.AUTH)
    assert result.reply == "535 5.7.8 Bad credentials"
    assert result.remedy.startswith("Gmail did not accept")


def test_without_a_reply_our_own_words_stand_in_its_place() -> None:
    failure = Failure(FailureKind.TIMEOUT, Stage.CONNECT, detail="no answer in 10 s")
    checked = not_dialled(SMTP, Side(host="smtp.example.com", port=587), failure)
    result = judge("", Side(), checked, diagnose_checked(checked)).result
    assert (result.code, result.reply, result.logins) == ("connection_timeout", "no answer in 10 s", 0)
    assert (result.port, result.encryption, result.mechanism) == (587, Encryption.SSL, "")


def test_a_side_without_a_server_names_none() -> None:
    checked = not_dialled(
        SMTP, Side(encryption=Encryption.STARTTLS), Failure(FailureKind.NAME_NOT_FOUND, Stage.RESOLVE)
    )
    result = judge("", Side(), checked, diagnose_checked(checked)).result
    assert (result.host, result.port, result.encryption) == ("", 0, None)
    assert result.remedy.startswith("There is no mail server of this name.")


def test_the_certificate_that_was_refused_is_the_one_that_is_told() -> None:
    shown = Certificate(("mx.example.net",), None)
    failure = Failure(FailureKind.CERTIFICATE_NAME, Stage.TLS, certificate=shown)
    checked = Checked(SMTP, replace(TRACE, sent_credentials=False), failure)
    result = judge("", Side(), checked, diagnose_checked(checked)).result
    assert result.certificate_names == ("mx.example.net",)
    assert "for mx.example.net." in result.remedy


@pytest.mark.parametrize(
    ("provider", "has_all_mail", "warning"),
    [
        ("gmail", False, "all_mail_hidden"),
        ("gsuite", False, "all_mail_hidden"),
        ("gmail", True, ""),
        ("gmail", None, ""),
        ("ionos_de", False, ""),
    ],
)
def test_gmails_hidden_folder_is_a_warning_and_no_failure(
    provider: str, has_all_mail: bool | None, warning: str
) -> None:
    checked = Checked(IMAP, replace(TRACE, has_all_mail=has_all_mail))
    result = judge(provider, Side(), checked, diagnose_checked(checked)).result
    assert (result.status, result.warning, "Show in IMAP" in result.remedy) == (SideStatus.OK, warning, bool(warning))


@pytest.mark.parametrize(
    ("code", "sent", "answered"),
    [
        (Code.AUTH_NO_ANSWER, True, False),
        (Code.AUTH_NO_ANSWER, False, True),
        (Code.INVALID_CREDENTIALS, True, True),
    ],
)
def test_only_a_login_without_an_answer_leaves_somebody_waiting(code: Code, sent: bool, answered: bool) -> None:
    checked = Checked(SMTP, replace(TRACE, sent_credentials=sent), REFUSED)
    assert judge("", Side(), checked, Diagnosis(code, "test")).is_answered is answered


@pytest.mark.parametrize(
    ("provider", "protocol", "words"),
    [
        (
            "outlook",
            SMTP,
            "Outlook.com takes no passwords from mail programs since September 2024. Ask your mail admin",
        ),
        ("microsoft365", IMAP, "Exchange Online takes no passwords over IMAP. Ask your mail administrator"),
        ("tuta", IMAP, "Tuta offers neither IMAP nor SMTP. This mailbox cannot be connected: leave it out."),
        (
            "proton",
            IMAP,
            "Proton Mail can be read only through its own Bridge program, which this service cannot reach.",
        ),
        ("i_ua", IMAP, "I.UA offers no IMAP. Set imap to false in this row"),
        ("hey", SMTP, "HEY offers neither IMAP nor SMTP. This mailbox cannot be connected: leave it out."),
    ],
)
def test_what_cannot_work_is_said_with_what_to_do_in_two_sentences(
    provider: str, protocol: Protocol, words: str
) -> None:
    refusal = judge_before_dialling(provider, protocol, host="", is_token=False)
    assert refusal is not None
    diagnosis = Diagnosis(Code(refusal.code), refusal.rule, refusal.note)
    remedy = judge(provider, Side(), not_dialled(protocol, Side()), diagnosis).result.remedy
    assert remedy.startswith(words)
    assert len(_END.findall(remedy)) == 2


def test_a_host_that_is_left_alone_is_told_in_two_sentences() -> None:
    diagnosis = Diagnosis(Code.IP_BLOCKED, "pace:shut", "The host began to refuse us.")
    verdict = judge("", Side(), not_dialled(SMTP, Side(host="smtp.example.com")), diagnosis, is_final=True)
    assert verdict.result.remedy == (
        "The host began to refuse us. Check again later, or tell the operator of this service."
    )
    assert verdict.is_final


def test_both_sides_together_tell_more() -> None:
    smtp, imap = join(side_of(Code.INVALID_CREDENTIALS), side_of(Code.INVALID_CREDENTIALS, IMAP), same_secret=True)
    words = "Sending and reading both refused the same password. Type the password again"
    assert smtp.result.remedy.startswith(words)
    assert imap.result.remedy.startswith(words)


def test_a_password_that_one_side_took_is_not_to_be_typed_again() -> None:
    smtp, imap = join(side_of(Code.INVALID_CREDENTIALS), side_of(Code.OK, IMAP), same_secret=True)
    assert smtp.result.remedy.startswith("IMAP took the same password, so it is right.")
    assert "Type the password" not in smtp.result.remedy
    assert imap.result.remedy == ""


def test_a_code_that_says_enough_keeps_its_own_remedy() -> None:
    sides = side_of(Code.IP_BLOCKED), side_of(Code.TLS_CERT_EXPIRED, IMAP)
    assert join(*sides, same_secret=True) == sides
    untold = side_of(Code.RATE_LIMITED), side_of(Code.OK, IMAP)
    assert join(*untold, same_secret=True) == untold


@pytest.mark.parametrize(
    ("slug", "name"),
    [
        ("outlook", "Outlook.com"),
        ("microsoft365", "Microsoft 365"),
        ("zoho_eu", "Zoho Mail"),
        ("yahoo_jp", "Yahoo JAPAN Mail"),
        ("other", ""),
        ("nobody", ""),
        ("", ""),
    ],
)
def test_providers_are_called_as_people_call_them(slug: str, name: str) -> None:
    assert describe(SMTP, slug).provider_name == name


def test_servers_are_known_where_the_host_is_the_providers() -> None:
    known = describe(SMTP, "gmail", host="smtp.gmail.com", count=3, domain="example.com")
    assert [server.port for server in known.servers] == [465, 587]
    assert (known.takes_app_passwords, known.count, known.domain) == (True, 3, "example.com")
    assert describe(SMTP, "gmail", host="relay.example.com").servers == []
    assert describe(IMAP, "sendgrid", host="imap.example.com").servers == []


@pytest.mark.parametrize("provider", ["", "a stranger"])
def test_whose_a_host_is_tells_the_provider(provider: str) -> None:
    known = describe(IMAP, provider, host="imap.gmail.com")
    assert (known.provider, known.provider_name) == ("gmail", "Gmail")
    assert describe(IMAP, provider, host="imap.example.com").provider_name == ""


@pytest.mark.parametrize("same_secret", [True, False])
def test_whatever_both_sides_come_to_a_remedy_is_two_sentences_at_most(same_secret: bool) -> None:
    for smtp, imap in product(Code, Code):
        for verdict in join(side_of(smtp), side_of(imap, IMAP), same_secret=same_secret):
            remedy = verdict.result.remedy
            assert len(_END.findall(remedy)) <= 2, (smtp, imap, remedy)
            assert bool(remedy) == (verdict.result.code != "ok")
