"""Names become addresses once at a time, within a deadline, and failures tell whether they may pass."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.checked import FailureKind
from app.login import resolve
from app.login.resolve import ResolveError, Resolver, SrvRecord, read_literal, to_ascii
from tests.fakes.names import CUT, FAIL, NOTHING, REFUSE, SILENT, Names, Script, Turns, serve_names


@asynccontextmanager
async def asking(script: Script, timeout_seconds: float = 5.0) -> AsyncIterator[tuple[Resolver, Names]]:
    async with serve_names(script) as names:
        resolver = Resolver([names.address], timeout_seconds)
        try:
            yield resolver, names
        finally:
            await resolver.aclose()


async def kind_of_failure(resolver: Resolver, host: str) -> FailureKind:
    with pytest.raises(ResolveError) as caught:
        await resolver.addresses(host)
    return caught.value.kind


async def test_both_families_are_asked_for() -> None:
    script = {"mail.example.com A": ["192.0.2.1", "192.0.2.2"], "mail.example.com AAAA": "2001:db8::1"}
    async with asking(script) as (resolver, _):
        assert set(await resolver.addresses("Mail.Example.COM.")) == {"192.0.2.1", "192.0.2.2", "2001:db8::1"}


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("", FailureKind.NAME_NOT_FOUND),
        (NOTHING, FailureKind.NAME_NOT_FOUND),
        (FAIL, FailureKind.NAME_TEMPORARY),
        (REFUSE, FailureKind.NAME_TEMPORARY),
        (SILENT, FailureKind.NAME_TEMPORARY),
    ],
)
async def test_failures_tell_whether_they_may_pass(answer: str, kind: FailureKind) -> None:
    script = {"mail.example.com A": answer, "mail.example.com AAAA": answer} if answer else {}
    async with asking(script, timeout_seconds=0.6) as (resolver, _):
        began = time.monotonic()
        assert await kind_of_failure(resolver, "mail.example.com") is kind
        assert time.monotonic() - began < 1.5


async def test_silence_about_one_family_does_not_hold_up_the_other() -> None:
    async with asking({"mail.example.com A": "192.0.2.1", "mail.example.com AAAA": SILENT}) as (resolver, _):
        began = time.monotonic()
        assert await resolver.addresses("mail.example.com") == ["192.0.2.1"]
        assert time.monotonic() - began < 1.5


async def test_late_family_is_waited_for_where_the_other_has_nothing() -> None:
    async with asking({"mail.example.com A": NOTHING, "mail.example.com AAAA": "2001:db8::1"}) as (resolver, _):
        assert await resolver.addresses("mail.example.com") == ["2001:db8::1"]


async def test_answer_too_long_for_a_datagram_is_asked_for_again() -> None:
    script = {"mail.example.com A": [CUT + f"192.0.2.{number}" for number in range(1, 200)]}
    async with asking(script) as (resolver, names):
        assert len(await resolver.addresses("mail.example.com")) == 199
        assert names.asked["mail.example.com A"] == 2


async def test_many_who_ask_at_once_make_one_question() -> None:
    async with asking({"mail.example.com A": "192.0.2.1"}) as (resolver, names):
        answers = await asyncio.gather(*(resolver.addresses("mail.example.com") for _ in range(500)))
        await resolver.addresses("mail.example.com")
    assert answers == [["192.0.2.1"]] * 500
    assert names.asked == Counter({"mail.example.com A": 1, "mail.example.com AAAA": 1})


async def test_refusals_are_kept_for_a_while_and_then_asked_about_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "KEEP_FAILURE_SECONDS", 0.2)
    script = {"mail.example.com A": Turns([FAIL, "192.0.2.1"])}
    async with asking(script) as (resolver, names):
        assert await kind_of_failure(resolver, "mail.example.com") is FailureKind.NAME_TEMPORARY
        assert await kind_of_failure(resolver, "mail.example.com") is FailureKind.NAME_TEMPORARY
        assert names.asked["mail.example.com A"] == 1
        await asyncio.sleep(0.25)
        assert await resolver.addresses("mail.example.com") == ["192.0.2.1"]


async def test_answers_are_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "KEEP_SECONDS", 0.1)
    async with asking({"mail.example.com A": Turns(["192.0.2.1", "192.0.2.2"])}) as (resolver, _):
        assert await resolver.addresses("mail.example.com") == ["192.0.2.1"]
        await asyncio.sleep(0.15)
        assert await resolver.addresses("mail.example.com") == ["192.0.2.2"]


async def test_memory_does_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "MOST_NAMES", 5)
    async with asking({}) as (resolver, _):
        for number in range(20):
            assert await kind_of_failure(resolver, f"host{number}.example.com") is FailureKind.NAME_NOT_FOUND
        assert len(resolver._kept) <= 5


async def test_one_who_gives_up_does_not_take_the_answer_from_the_others() -> None:
    async with asking({"mail.example.com A": SILENT, "mail.example.com AAAA": "2001:db8::1"}) as (resolver, _):
        impatient = asyncio.create_task(resolver.addresses("mail.example.com"))
        patient = asyncio.create_task(resolver.addresses("mail.example.com"))
        await asyncio.sleep(0)
        impatient.cancel()
        assert await patient == ["2001:db8::1"]
        assert impatient.cancelled() or impatient.cancelling()


async def test_closing_leaves_no_look_up_behind() -> None:
    async with serve_names({"mail.example.com A": SILENT}) as names:
        resolver = Resolver([names.address])
        asking = asyncio.create_task(resolver.addresses("mail.example.com"))
        await asyncio.sleep(0.05)
        others = asyncio.all_tasks() - {asking}
        await resolver.aclose()
        assert len(asyncio.all_tasks() & others) < len(others)
        with pytest.raises(asyncio.CancelledError):
            await asking


async def test_mail_exchangers_come_in_their_order() -> None:
    script = {"example.com MX": ["20 b.example.com.", "5 A.example.com.", "10 c.example.com."]}
    async with asking(script) as (resolver, _):
        assert await resolver.mx("example.com") == ["A.example.com", "c.example.com", "b.example.com"]


async def test_null_mx_means_no_mail() -> None:
    async with asking({"example.com MX": "0 ."}) as (resolver, _):
        assert await resolver.mx("example.com") == []


async def test_services_come_by_priority_and_then_weight() -> None:
    name = "_imaps._tcp.example.com"
    script = {f"{name} SRV": ["10 1 993 b.example.com.", "5 1 993 c.example.com.", "10 9 994 a.example.com."]}
    async with asking(script) as (resolver, _):
        assert await resolver.srv(name) == [
            SrvRecord("c.example.com", 993, 5, 1),
            SrvRecord("a.example.com", 994, 10, 9),
            SrvRecord("b.example.com", 993, 10, 1),
        ]


async def test_several_name_servers_stand_in_for_each_other() -> None:
    mute_script: Script = {"mail.example.com A": SILENT, "mail.example.com AAAA": SILENT}
    good_script: Script = {"mail.example.com A": "192.0.2.1"}
    async with serve_names(mute_script) as mute, serve_names(good_script) as good:
        resolver = Resolver([mute.address, good.address, "::1"], 12.0)
        try:
            assert await resolver.addresses("mail.example.com") == ["192.0.2.1"]
        finally:
            await resolver.aclose()


async def test_system_knows_the_hosts_file_and_what_does_not_exist() -> None:
    resolver = Resolver()
    try:
        assert "127.0.0.1" in await resolver.addresses("localhost")
        assert await kind_of_failure(resolver, "a..b") is FailureKind.NAME_NOT_FOUND
        assert await kind_of_failure(resolver, "x" * 64 + ".example.com") is FailureKind.NAME_NOT_FOUND
    finally:
        await resolver.aclose()


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("Mail.Example.COM", "mail.example.com"),
        (" mail.example.com. ", "mail.example.com"),
        ("mail.bücher.example", "mail.xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("１２７．0．0．1", "127.0.0.1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("", ""),
        ("...", ""),
        ("a b.example.com", ""),
        ("a\0.example.com", ""),
        ("x" * 64 + ".example.com", ""),
        (".".join(["abcdefg"] * 40), ""),
        ("\ud800.example.com", ""),
    ],
)
def test_hosts_are_written_as_dns_writes_them(host: str, name: str) -> None:
    assert to_ascii(host) == name


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("127.0.0x1", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("256.1.1.1", ""),
        ("1.2.3.4.5", ""),
        ("mail.example.com", ""),
        ("mail1", ""),
        ("x.0xg", ""),
    ],
)
def test_spelled_out_addresses_are_read_as_the_system_would(name: str, address: str) -> None:
    assert read_literal(name) == address
