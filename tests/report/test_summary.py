"""Many failed rows become few things to do."""

from dataclasses import replace

from app.codes import FACTS, Code
from app.model import Protocol
from app.report.advice import Situation, render_remedy
from app.report.summary import CODES_BY_DOMAIN, GROUP_LIMIT, Cause, list_causes, render_summary
from tests.report.rows import MadeGroup

IMAP_OFF = MadeGroup(code="imap_disabled", protocol="imap", host="imap.example.net", port=993)


def situation_of(cause: Cause) -> Situation:
    return Situation(Protocol(cause.protocol), host=cause.host, port=cause.port, count=cause.count, domain=cause.domain)


def seen(*groups: MadeGroup) -> list[tuple[str, str, int, int]]:
    return [(cause.host, cause.domain, cause.count, cause.first_row) for cause in list_causes(groups)]


def test_nothing_failed_nothing_to_do() -> None:
    assert render_summary([], situation_of) == []


def test_forty_rows_of_a_domain_that_fail_alike_are_said_once() -> None:
    (cause,) = render_summary([replace(IMAP_OFF, count=40, first_row=3, reply="NO IMAP is off")], situation_of)
    assert cause == {
        "code": "imap_disabled",
        "protocol": "imap",
        "host": "imap.example.net",
        "domain": "example.com",
        "count": 40,
        "title": FACTS[Code.IMAP_DISABLED].title,
        "remedy": "Reading through other programs (IMAP) is switched off for these 40 mailboxes of example.com. "
        "Turn it on in the mailbox settings, or ask your mail administrator to.",
        "fault": "user",
        "retryable": False,
        "exampleRow": 3,
        "exampleReply": "NO IMAP is off",
    }


def test_what_each_administrator_must_change_is_said_for_each_domain() -> None:
    groups = [replace(IMAP_OFF, domain=f"{name}.example", count=5, first_row=row) for row, name in enumerate("abc", 1)]
    assert seen(*groups) == [("imap.example.net", f"{name}.example", 5, row) for row, name in enumerate("abc", 1)]


def test_single_mailboxes_with_a_setting_of_their_own_are_one_cause() -> None:
    groups = [replace(IMAP_OFF, domain=f"{name}.example", first_row=row) for row, name in enumerate("abc", 1)]
    assert seen(*groups, replace(IMAP_OFF, domain="", count=4, first_row=9)) == [("imap.example.net", "", 7, 1)]


def test_what_is_no_domains_setting_is_said_once_for_a_server() -> None:
    groups = [MadeGroup(domain=f"{name}.example", count=5, first_row=row) for row, name in enumerate("abc", 1)]
    assert seen(*groups) == [("smtp.example.com", "", 15, 1)]
    same = [MadeGroup(count=5, first_row=8, reply="later"), MadeGroup(port=587, count=2, first_row=4, reply="earlier")]
    assert seen(*same) == [("smtp.example.com", "example.com", 7, 4)]
    assert list_causes(same)[0].reply == "earlier"


def test_codes_protocols_and_servers_are_kept_apart() -> None:
    one = MadeGroup()
    groups = [one, replace(one, code="rate_limited"), replace(one, protocol="imap"), replace(one, host="b.example.com")]
    assert len(list_causes(groups)) == 4


def test_the_largest_comes_first_then_the_earliest_row() -> None:
    groups = [
        MadeGroup(host="a.example.com", count=1, first_row=1),
        MadeGroup(host="b.example.com", count=9, first_row=7),
        MadeGroup(host="c.example.com", count=9, first_row=2),
        MadeGroup(host="c.example.com", count=9, first_row=2, protocol="imap"),
    ]
    assert [(cause.host, cause.protocol) for cause in list_causes(groups)] == [
        ("c.example.com", "imap"),
        ("c.example.com", "smtp"),
        ("b.example.com", "smtp"),
        ("a.example.com", "smtp"),
    ]


def test_a_summary_stays_short() -> None:
    groups = [MadeGroup(host=f"{number}.example.com", count=100 - number) for number in range(80)]
    assert [cause.host for cause in list_causes(groups, limit=2)] == ["0.example.com", "1.example.com"]
    assert len(render_summary(groups, situation_of)) == GROUP_LIMIT


def test_ninety_three_red_rows_become_four_things_to_do() -> None:
    groups = [
        replace(IMAP_OFF, count=40, first_row=2),
        MadeGroup(host="smtp.gmail.com", domain="gmail.com", count=20, first_row=5),
        MadeGroup(host="smtp.gmail.com", domain="example.org", count=10, first_row=50),
        MadeGroup(code="dns_not_found", host="smtp.exmaple.com", count=15, first_row=9),
        MadeGroup(code="connection_timeout", host="mail.example.org", count=8, first_row=70),
    ]
    summary = render_summary(groups, situation_of)
    assert [entry["count"] for entry in summary] == [40, 30, 15, 8]
    assert all(entry["remedy"] and entry["exampleRow"] for entry in summary)


def test_codes_by_domain_are_matters_of_an_administrator() -> None:
    assert set(CODES_BY_DOMAIN) >= {Code.IMAP_DISABLED, Code.SMTP_AUTH_DISABLED, Code.ACCESS_POLICY_BLOCKED}
    assert not set(CODES_BY_DOMAIN) & {Code.INVALID_CREDENTIALS, Code.DNS_NOT_FOUND, Code.RATE_LIMITED}


def test_no_fault_is_nobodys() -> None:
    (cause,) = render_summary([MadeGroup(code="not_checked")], situation_of)
    assert (cause["fault"], cause["exampleReply"]) == (None, None)
    assert cause["remedy"] == render_remedy(Code.NOT_CHECKED, Situation(Protocol.SMTP))
