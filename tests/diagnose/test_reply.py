"""A reply in any dress comes to the same parts."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.checked import Reply
from app.codes import Code
from app.diagnose.diagnose import explain
from app.diagnose.reply import READ_CHARACTERS, evidence_of_reply, fold, guess_protocol, parse_raw
from app.model import Protocol, Stage


@pytest.mark.parametrize(
    ("raw", "code", "enhanced"),
    [
        ("535 5.7.8 Error", 535, "5.7.8"),
        ("535-5.7.8 Username and Password not accepted.\n535 5.7.8 https://support.example", 535, "5.7.8"),
        ("smtplib.SMTPAuthenticationError: (535, b'5.7.8 Error: authentication failed')", 535, "5.7.8"),
        ('Expected response code "250" but got code "535", with message "535 5.7.0 No"', 535, "5.7.0"),
        ("SMTP< 530 5.7.57 Client not authenticated", 530, "5.7.57"),
        ("5.7.57 Client not authenticated", 0, "5.7.57"),
        ("Invalid login: 535 No", 535, ""),
        ("Error connecting to 203.0.113.4 on port 465", 0, ""),
        ("dial tcp 74.125.24.109:587: i/o timeout", 0, ""),
        ("got 250 and went away", 250, ""),
        ("[Errno 111] Connection refused", 0, ""),
        ("read timed out after 300 seconds", 0, ""),
        ("thrown in SmtpTransport.php on line 402", 0, ""),
    ],
)
def test_numbers_of_smtp(raw: str, code: int, enhanced: str) -> None:
    evidence = parse_raw(Protocol.SMTP, raw)
    assert (evidence.code, evidence.enhanced) == (code, enhanced)


@pytest.mark.parametrize(
    ("raw", "status", "response_code"),
    [
        ("a2 NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)", "NO", "AUTHENTICATIONFAILED"),
        ("NO [ALERT] Invalid credentials", "NO", ""),
        ("* NO [WEBALERT https://example.com/a?b] Web login required.\nNO [ALERT] x", "NO", "WEBALERT"),
        ("* BYE Too many connections", "BYE", ""),
        ("imaplib.IMAP4.error: b'[AUTHENTICATIONFAILED] no'", "", "AUTHENTICATIONFAILED"),
        ("LOGIN command error: BAD [b'LOGIN failure']", "BAD", ""),
        ("* OK Dovecot ready.\na1 NO Login failed.", "NO", ""),
        ("ssl.SSLError: [SSL: WRONG_VERSION_NUMBER] wrong version number", "", ""),
    ],
)
def test_words_of_imap(raw: str, status: str, response_code: str) -> None:
    evidence = parse_raw(Protocol.IMAP, raw)
    assert (evidence.status, evidence.response_code) == (status, response_code)


@pytest.mark.parametrize(
    ("raw", "protocol"),
    [
        ("535 5.7.8 No", Protocol.SMTP),
        ("(535, b'5.7.8 No')", Protocol.SMTP),
        ("smtplib.SMTPServerDisconnected", Protocol.SMTP),
        ("NO [AUTHENTICATIONFAILED] x", Protocol.IMAP),
        ("imaplib.IMAP4.abort: socket error: EOF", Protocol.IMAP),
        ("* BYE bye", Protocol.IMAP),
        ("[AUTHENTICATIONFAILED] x", Protocol.IMAP),
        ("no idea", Protocol.SMTP),
    ],
)
def test_the_protocol_is_guessed_by_its_looks(raw: str, protocol: Protocol) -> None:
    assert guess_protocol(raw) is protocol


@pytest.mark.parametrize(
    ("raw", "folded"),
    [
        ("  Two\u00a0 \t words\r\nthree ", "two words three"),
        ("<p>Bad <b>password</b></p>", "bad password"),
        ("<html><body>x", "<html> x"),
        ("it&#39;s &quot;so&quot;", 'it\'s "so"'),
        ("\u201cquoted\u201d \u2018so\u2019", "\"quoted\" 'so'"),
        (r"b'one\ntwo'", "b'one two'"),
        ("Identité refusée, Größe, Użytkownik", "identite refusee, grosse, uzytkownik"),
        ("密码错误 비밀번호", "密码错误 비밀번호"),
        ("x" * (READ_CHARACTERS + 5), "x" * READ_CHARACTERS),
    ],
)
def test_text_is_folded_to_what_rules_read(raw: str, folded: str) -> None:
    assert fold(raw) == folded


def test_a_reply_taken_apart_is_put_together_with_its_response_code() -> None:
    reply = Reply("No such authorization-ID", status="NO", response_code="AUTHORIZATIONFAILED x")
    evidence = evidence_of_reply(reply, Protocol.IMAP, Stage.AUTH)
    assert evidence.response_code == "AUTHORIZATIONFAILED"
    assert evidence.text == "[authorizationfailed x] no such authorization-id"
    assert evidence.is_reply
    assert not evidence_of_reply(Reply("x"), Protocol.IMAP, None).is_reply


@given(st.text(max_size=3000))
def test_no_text_is_too_strange(raw: str) -> None:
    for protocol in Protocol:
        assert explain(raw, protocol=protocol).rule
    assert guess_protocol(raw) in Protocol


TALK = """2017-06-14 16:42:36 SERVER -> CLIENT: 220-server.example.com ESMTP Exim 4.86
2017-06-14 16:42:36 CLIENT -> SERVER: EHLO example.com
2017-06-14 16:42:36 SERVER -> CLIENT: 250-server.example.com 250-SIZE 52428800 250-PIPELINING 250-AUTH PLAIN LOGIN
2017-06-14 16:42:36 CLIENT -> SERVER: AUTH LOGIN
2017-06-14 16:42:38 SERVER -> CLIENT: 535 5.7.8 Account suspended
2017-06-14 16:42:38 CLIENT -> SERVER: QUIT
2017-06-14 16:42:38 SERVER -> CLIENT: 221 server.example.com closing connection
"""


def test_of_a_conversation_the_refusal_is_read() -> None:
    evidence = parse_raw(Protocol.SMTP, TALK)
    assert (evidence.code, evidence.enhanced, evidence.text) == (535, "5.7.8", "535 5.7.8 account suspended")
    assert explain(TALK).code is Code.ACCOUNT_DISABLED
    talk = "* OK [CAPABILITY IMAP4rev1] ready\nA1 LOGIN x y\nA1 NO [UNAVAILABLE] Come back\n* BYE bye"
    assert parse_raw(Protocol.IMAP, talk).text == "no [unavailable] come back"


def test_a_conversation_without_a_refusal_stays_as_it_is() -> None:
    assert parse_raw(Protocol.SMTP, "220 mail ESMTP\nEHLO x\n250 mail\n").text == "220 mail esmtp ehlo x mail"
    assert parse_raw(Protocol.SMTP, "got 250 and\n535 lines").code == 535


@pytest.mark.parametrize("part", ["[AAAA ", "[A-", "<a ", "code='", "a1 ", "\n535 ", "\n* OK ", "\\xd0", "1 ", "&#"])
def test_time_for_a_pasted_text_does_not_run_away_with_its_length(part: str) -> None:
    raw = (part * 16_000)[: 32 * 1024]
    began = time.thread_time()
    for protocol in Protocol:
        parse_raw(protocol, raw)
    guess_protocol(raw)
    assert time.thread_time() - began < 0.5
