"""A row: refusals known before any dial, servers found where it names none, both sides told together, turns."""

import asyncio
from dataclasses import replace

import pytest

from app import attempt
from app.codes import Code
from app.model import Encryption, Protocol, Secrets, Server, Side, SideStatus, Source, Stage
from app.pace import Pace
from app.task import Kit, RowTask
from app.verdict import Progress, SideVerdict
from app.verify import verify_row
from tests.fakes.dials import watch_dials
from tests.fakes.names import FAIL, SILENT, Script
from tests.fakes.scripted import Do, Peer, Step, serve
from tests.real.certificates import Authority
from tests.verify.conftest import (
    ADDRESS,
    HERE,
    HOST,
    IMAP,
    NONE,
    PASSWORD,
    QUICK,
    SMTP,
    SSL,
    STARTTLS,
    good_imap,
    good_smtp,
    open_kit,
    row,
    side,
)

NO_SMTP: list[Step] = [
    *(b"220 mail ESMTP\r\n", "EHLO", b"250-mail\r\n250 AUTH PLAIN\r\n"),
    *("AUTH PLAIN", b"535 5.7.8 Authentication credentials invalid\r\n", "QUIT", b"221 bye\r\n"),
]
NO_IMAP: list[Step] = [
    *(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\r\n", "AUTHENTICATE PLAIN"),
    *(b"TAG NO [AUTHENTICATIONFAILED] Authentication failed.\r\n", "LOGOUT", b"* BYE\r\nTAG OK bye\r\n"),
]


def sure(verdict: SideVerdict | None) -> SideVerdict:
    assert verdict is not None
    return verdict


@pytest.mark.parametrize(
    ("provider", "protocol", "host", "code"),
    [
        ("microsoft365", IMAP, "outlook.office365.com", Code.OAUTH_REQUIRED),
        ("outlook", SMTP, "smtp-mail.outlook.com", Code.OAUTH_REQUIRED),
        ("tuta", IMAP, "", Code.IMAP_DISABLED),
        ("hey", SMTP, "", Code.SMTP_AUTH_DISABLED),
    ],
)
async def test_what_cannot_work_is_told_before_anything_is_dialled(
    provider: str, protocol: Protocol, host: str, code: Code
) -> None:
    given = side(Server(host, 993 if protocol is IMAP else 587, STARTTLS)) if host else side()
    task = row(given if protocol is SMTP else None, given if protocol is IMAP else None, provider=provider)
    async with open_kit({}) as (kit, _):
        with watch_dials() as dialled:
            found = await verify_row(task, kit)
    verdict = sure(found.smtp or found.imap)
    assert verdict.result.code == code
    assert verdict.result.rule.startswith("policy:")
    assert verdict.result.remedy
    assert not verdict.sent_credentials
    assert dialled == []


@pytest.mark.parametrize("host", ["", "outlook.office365.com"])
async def test_what_cannot_work_at_who_turns_out_to_run_the_service_is_told_too(host: str) -> None:
    script = {"example.com MX": "0 example-com.mail.protection.outlook.com."}
    given = side(Server(host, 993, SSL)) if host else side()
    async with open_kit(script) as (kit, names):
        with watch_dials() as dialled:
            verdict = sure((await verify_row(row(None, given), kit)).imap)
    assert verdict.result.code == Code.OAUTH_REQUIRED
    assert verdict.result.rule == "policy:microsoft365"
    assert verdict.result.host == "outlook.office365.com"
    assert set(dialled) <= {names.where}


async def test_both_sides_are_checked_side_by_side() -> None:
    slow = 0.3

    async def think(_: object) -> None:
        await asyncio.sleep(slow)

    smtp, imap = [think, *good_smtp()], [think, *good_imap()]
    async with serve(smtp) as one, serve(imap) as two, open_kit() as (kit, _):
        task = row(side(Server(HOST, one.port, NONE)), side(Server(HOST, two.port, NONE)))
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        found = await verify_row(task, kit)
        seconds = loop.time() - began_at
    assert sure(found.smtp).result.status is SideStatus.OK
    assert sure(found.imap).result.status is SideStatus.OK
    assert slow <= seconds < 2 * slow + 0.2
    assert sure(found.smtp).result.remedy == ""


async def test_side_that_is_settled_or_not_wanted_is_left_alone() -> None:
    async with serve(good_imap()) as server, open_kit() as (kit, _):
        imap = side(Server(HOST, server.port, NONE))
        found = await verify_row(row(None, imap), kit)
        assert found.smtp is None
        assert sure(found.imap).result.code == Code.OK
        found = await verify_row(row(Side(wanted=False), imap), kit)
        assert found.smtp is None


@pytest.mark.parametrize(
    ("smtp", "imap", "note_on", "words"),
    [
        (NO_SMTP, good_imap(), SMTP, "IMAP took the same password"),
        (good_smtp(), NO_IMAP, IMAP, "SMTP took the same password"),
        (NO_SMTP, NO_IMAP, SMTP, "Sending and reading both refused the same password."),
    ],
)
async def test_what_both_sides_tell_together_is_said(
    smtp: list[Step], imap: list[Step], note_on: Protocol, words: str
) -> None:
    async with serve(smtp) as one, serve(imap) as two, open_kit() as (kit, _):
        task = row(side(Server(HOST, one.port, NONE)), side(Server(HOST, two.port, NONE)))
        found = await verify_row(task, kit)
    verdict = sure(found.smtp if note_on is SMTP else found.imap)
    assert verdict.result.code == Code.INVALID_CREDENTIALS
    assert verdict.result.remedy.startswith(words)
    assert one.calls == two.calls == 1


async def test_server_that_the_row_leaves_out_is_found(authority: Authority) -> None:
    async with serve(NO_SMTP) as server:
        script = {**HERE, "_submission._tcp.example.com SRV": f"0 0 {server.port} {HOST}."}
        async with open_kit(script) as (kit, _):
            found = await verify_row(row(side(), auto_correct=False), kit)
    verdict = sure(found.smtp)
    assert (verdict.side.host, verdict.side.port, verdict.side.encryption) == (HOST, server.port, STARTTLS)
    assert set(verdict.side.sources.values()) == {Source.SRV}
    assert verdict.result.code == Code.STARTTLS_UNSUPPORTED
    assert server.calls == 1


SRV: Script = {
    **HERE,
    "_submissions._tcp.example.com SRV": f"0 0 465 {HOST}.",
    "_submission._tcp.example.com SRV": f"0 0 587 {HOST}.",
}


@pytest.mark.parametrize(
    ("port", "encryption", "used"),
    [
        (0, None, (465, SSL)),
        (587, None, (587, STARTTLS)),
        (0, STARTTLS, (587, STARTTLS)),
        (2525, STARTTLS, (2525, STARTTLS)),
        (465, None, (465, SSL)),
        (0, NONE, (587, NONE)),
    ],
)
async def test_what_the_row_does_say_is_kept(
    port: int, encryption: Encryption | None, used: tuple[int, Encryption]
) -> None:
    given = Side(True, ADDRESS, ADDRESS, "", port, encryption, {"port": Source.ROW} if port else {})
    async with open_kit(SRV, ports=frozenset(), networks=()) as (kit, _):
        verdict = sure((await verify_row(row(given), kit)).smtp)
    assert verdict.result.code == Code.ADDRESS_NOT_ALLOWED
    assert (verdict.side.port, verdict.side.encryption) == used
    assert verdict.side.sources["host"] is Source.SRV
    assert verdict.side.sources.get("port") in ({Source.ROW} if port else {Source.SRV, Source.USUAL})


@pytest.mark.parametrize(("tries", "code"), [(1, Code.CONNECTION_TIMEOUT), (2, Code.OK), (9, Code.OK)])
async def test_server_that_is_slow_to_greet_gets_more_time_at_the_next_try(tries: int, code: Code) -> None:
    async def think(_: Peer) -> None:
        await asyncio.sleep(1.4 * QUICK.greet)

    async with serve([think, *good_smtp()]) as server, open_kit() as (kit, _):
        task = row(side(Server(HOST, server.port, NONE)), auto_correct=False)
        began = asyncio.get_running_loop().time()
        verdict = sure((await verify_row(replace(task, tries=tries), kit)).smtp)
        seconds = asyncio.get_running_loop().time() - began
    assert verdict.result.code == code
    assert seconds < kit.timeout_seconds


async def test_usual_port_and_mode_are_taken_where_only_the_host_is_given() -> None:
    async with open_kit(networks=()) as (kit, _):
        given = Side(True, ADDRESS, ADDRESS, HOST)
        found = await verify_row(row(given, given), kit)
    for verdict, port in ((found.smtp, 465), (found.imap, 993)):
        assert (sure(verdict).side.port, sure(verdict).side.encryption) == (port, SSL)
        assert sure(verdict).side.sources == {"port": Source.USUAL, "encryption": Source.USUAL}


async def test_domain_without_settings_is_told_and_doubt_is_retryable() -> None:
    async with open_kit({}) as (kit, _):
        verdict = sure((await verify_row(row(side()), kit)).smtp)
    assert (verdict.result.code, verdict.result.stage) == (Code.DNS_NOT_FOUND, Stage.RESOLVE)
    async with open_kit({"example.com MX": FAIL}) as (kit, _):
        verdict = sure((await verify_row(row(side()), kit)).smtp)
    assert (verdict.result.code, verdict.result.stage) == (Code.CONNECTION_TIMEOUT, Stage.RESOLVE)
    assert verdict.result.is_retryable


async def test_credential_that_could_not_be_opened_is_our_own_failure() -> None:
    async with open_kit() as (kit, _):
        task = RowTask(ADDRESS, "", "example.com", side(Server(HOST, 465, SSL)), None, Secrets())
        with watch_dials() as dialled:
            verdict = sure((await verify_row(task, kit)).smtp)
    assert verdict.result.code == Code.INTERRUPTED
    assert dialled == []


async def test_row_that_finds_no_turn_comes_back_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "TURN_SECONDS", 0.05)
    async with serve(good_smtp()) as one, serve(good_imap()) as two, open_kit() as (opened, _):
        kit = Kit(opened.tools, Pace({"127.0.0.1": 1}), opened.timeout_seconds)
        task = row(side(Server(HOST, one.port, NONE)), side(Server(HOST, two.port, NONE)))
        progress = Progress()
        async with kit.pace.turn("127.0.0.1", SMTP):
            found = await verify_row(task, kit, progress)
        assert found.smtp is None
        assert found.waits == {SMTP: 1.0}
        assert sure(found.imap).result.code == Code.OK
        assert set(progress.ended) == {IMAP}
        assert one.calls == 0
        found = await verify_row(row(task.smtp), kit)
    assert sure(found.smtp).result.code == Code.OK
    assert found.waits == {}


async def test_names_of_one_machine_share_its_turns() -> None:
    script = {f"mail.{domain}.example A": "127.0.0.1" for domain in ("one", "two", "three")}
    async with serve(good_smtp()) as server, open_kit(script) as (kit, _):
        for domain in ("one", "two", "three"):
            given = side(Server(f"mail.{domain}.example", server.port, NONE))
            task = RowTask(ADDRESS, "", f"{domain}.example", given, None, row().secrets)
            assert sure((await verify_row(task, kit)).smtp).result.code == Code.OK
        described = kit.pace.describe()
        async with kit.pace.turn("127.0.0.1", SMTP):
            rooms = kit.pace.rooms()
    assert [(entry["door"], entry["protocol"]) for entry in described] == [("127.0.0.1", "smtp")]
    assert set(rooms) == {"one.example", "two.example", "three.example", "127.0.0.1"}
    assert len(set(rooms.values())) == 1


async def test_row_that_is_cancelled_tells_whether_its_secret_was_sent() -> None:
    mute: list[Step] = [*NO_IMAP[:2], Do.HANG]
    async with serve([Do.HANG]) as one, serve(mute) as two, open_kit() as (kit, _):
        progress = Progress()
        task = row(side(Server(HOST, one.port, NONE)), side(Server(HOST, two.port, NONE)))
        checking = asyncio.create_task(verify_row(task, kit, progress))
        while not two.lines:
            await asyncio.sleep(0.01)
        checking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await checking
    assert progress.sent == {IMAP}
    assert progress.ended == {}


@pytest.mark.parametrize("is_second_silent", [False, True])
async def test_a_row_has_arrived_when_both_its_sides_ask_for_a_turn_and_tells_so_once(is_second_silent: bool) -> None:
    arrivals: list[str] = []
    host = "slow.example" if is_second_silent else HOST
    script: Script = {**HERE, "slow.example A": SILENT}
    async with serve([Do.HANG]) as one, serve(good_imap()) as two, open_kit(script) as (kit, _):
        progress = Progress(on_arrival=lambda: arrivals.append("here"))
        task = row(side(Server(HOST, one.port, NONE)), side(Server(host, two.port, NONE)))
        checking = asyncio.create_task(verify_row(task, kit, progress))
        async with asyncio.timeout(5):
            while not one.calls or not (two.calls or is_second_silent):
                await asyncio.sleep(0.01)
        assert arrivals == ([] if is_second_silent else ["here"])
        checking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await checking
    assert arrivals == ["here"]


async def test_secret_is_in_nothing_that_a_row_comes_to() -> None:
    echo = [*NO_SMTP[:4], f"535 5.7.8 {PASSWORD} is wrong\r\n".encode(), *NO_SMTP[5:]]
    async with serve(echo) as server, open_kit() as (kit, _):
        verdict = sure((await verify_row(row(side(Server(HOST, server.port, NONE))), kit)).smtp)
    assert verdict.result.code == Code.INVALID_CREDENTIALS
    assert PASSWORD not in repr(verdict)
    assert "***" in verdict.result.reply


async def test_host_that_does_not_exist_is_told_of_both_sides() -> None:
    async with open_kit({"example.com MX": "1 mx.example.com."}) as (kit, names):
        given = side(Server("mail.exmaple.com", 465, SSL))
        found = await verify_row(row(given, given), kit)
        assert [entry["door"] for entry in kit.pace.describe()] == ["exmaple.com", "exmaple.com"]
    for verdict in (found.smtp, found.imap):
        assert (sure(verdict).result.code, sure(verdict).result.stage) == (Code.DNS_NOT_FOUND, Stage.RESOLVE)
        assert sure(verdict).result.attempts == 1
    assert names.asked["mail.exmaple.com A"] == 1


@pytest.mark.parametrize(
    ("listed", "warning"),
    [
        (b'* LIST () "/" INBOX\r\n', "all_mail_hidden"),
        (b'* LIST () "/" INBOX\r\n* LIST (\\All) "/" "[Gmail]/All Mail"\r\n', ""),
    ],
    ids=["hidden", "shown"],
)
async def test_a_gmail_that_hides_all_mail_is_connected_with_a_warning(listed: bytes, warning: str) -> None:
    steps: list[Step] = [
        *(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN X-GM-EXT-1] Gimap ready\r\n", "AUTHENTICATE PLAIN"),
        *(b"TAG OK authenticated (Success)\r\n", "LIST", listed + b"TAG OK Success\r\n", "EXAMINE"),
        *(b"* 3 EXISTS\r\nTAG OK [READ-ONLY] INBOX selected. (Success)\r\n", "LOGOUT", b"* BYE\r\nTAG OK bye\r\n"),
    ]
    async with serve(steps) as server, open_kit({}) as (kit, _):
        task = row(None, side(Server("127.0.0.1", server.port, NONE)), provider="gmail", password="abcdefghijklmnop")
        verdict = sure((await verify_row(task, kit)).imap)
    assert (verdict.result.status, verdict.result.code) == (SideStatus.OK, "ok")
    assert verdict.result.warning == warning
    assert bool(verdict.result.remedy) == bool(warning)
