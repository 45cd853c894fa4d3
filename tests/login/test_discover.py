"""Servers are found by who receives the mail, by SRV records, by autoconfig; and doubt is not taken for absence."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from app.checked import FailureKind
from app.egress import Policy
from app.login import discover as discovering
from app.login.check import Tools
from app.login.discover import Found, discover
from app.login.resolve import ResolveError, Resolver
from app.model import Encryption, Protocol, Server, Source
from tests.fakes.dials import watch_dials
from tests.fakes.names import FAIL, SILENT, Names, Script, serve_names

SMTP, IMAP = Protocol.SMTP, Protocol.IMAP
SSL, STARTTLS = Encryption.SSL, Encryption.STARTTLS
GMAIL = {
    SMTP: Server("smtp.gmail.com", 465, SSL),
    IMAP: Server("imap.gmail.com", 993, SSL),
}


@asynccontextmanager
async def searching(tools: Tools, script: Script, timeout_seconds: float = 4.0) -> AsyncIterator[tuple[Tools, Names]]:
    async with serve_names(script) as names:
        resolver = Resolver([names.address], timeout_seconds)
        try:
            yield replace(tools, resolver=resolver, egress=Policy()), names
        finally:
            await resolver.aclose()


async def find(tools: Tools, script: Script, protocol: Protocol = IMAP, domain: str = "example.com") -> list[Found]:
    async with searching(tools, script) as (ready, _):
        return await discover(domain, protocol, ready)


@pytest.mark.parametrize("protocol", Protocol)
async def test_who_receives_the_mail_tells_the_servers(protocol: Protocol, tools: Tools) -> None:
    found = await find(tools, {"example.com MX": ["5 gmr-smtp-in.l.google.com.", "1 ASPMX.L.GOOGLE.COM."]}, protocol)
    assert [one.source for one in found] == [Source.MX]
    assert found[0].server.host == GMAIL[protocol].host


async def test_later_exchanger_is_looked_at_where_the_first_is_unknown(tools: Tools) -> None:
    found = await find(tools, {"example.com MX": ["1 filter.example.net.", "5 aspmx.l.google.com."]})
    assert found == [Found(GMAIL[IMAP], Source.MX)]


async def test_service_records_are_asked_where_the_exchanger_is_unknown(tools: Tools) -> None:
    script = {
        "example.com MX": "1 mx.example.com.",
        "_imap._tcp.example.com SRV": "0 0 143 imap.example.com.",
        "_imaps._tcp.example.com SRV": ["20 0 994 second.example.com.", "10 0 993 first.example.com."],
    }
    assert await find(tools, script) == [
        Found(Server("first.example.com", 993, SSL), Source.SRV),
        Found(Server("second.example.com", 994, SSL), Source.SRV),
        Found(Server("imap.example.com", 143, STARTTLS), Source.SRV),
    ]


async def test_submission_is_asked_for_with_and_without_tls_from_the_start(tools: Tools) -> None:
    script = {"_submission._tcp.example.com SRV": "0 0 587 smtp.example.com."}
    assert await find(tools, script, SMTP) == [Found(Server("smtp.example.com", 587, STARTTLS), Source.SRV)]


@pytest.mark.parametrize("record", ["0 0 993 .", "0 0 0 ."])
async def test_service_that_is_not_offered_is_not_tried(record: str, tools: Tools) -> None:
    script = {"_imaps._tcp.example.com SRV": record, "_imap._tcp.example.com SRV": "0 0 143 imap.example.com."}
    assert await find(tools, script) == [Found(Server("imap.example.com", 143, STARTTLS), Source.SRV)]


@pytest.mark.parametrize("script", [{}, {"example.com MX": "0 ."}, {"example.com A": "192.0.2.1"}])
async def test_domain_of_which_nothing_is_known_has_no_servers(script: Script, tools: Tools) -> None:
    assert await find(tools, script) == []


@pytest.mark.parametrize("domain", ["", "..", "a b", "x" * 64 + ".com"])
async def test_what_is_no_domain_has_no_servers(domain: str, tools: Tools) -> None:
    assert await find(tools, {}, domain=domain) == []


async def test_international_domain_is_asked_for_as_dns_writes_it(tools: Tools) -> None:
    script = {"_imaps._tcp.xn--bcher-kva.example SRV": "0 0 993 imap.example.net."}
    found = await find(tools, script, domain="Bücher.example")
    assert found == [Found(Server("imap.example.net", 993, SSL), Source.SRV)]


@pytest.mark.parametrize("trouble", [FAIL, SILENT])
@pytest.mark.parametrize("name", ["example.com MX", "_imaps._tcp.example.com SRV"])
async def test_doubt_is_told_from_absence(trouble: str, name: str, tools: Tools) -> None:
    async with searching(tools, {name: trouble}, timeout_seconds=0.4) as (ready, _):
        with pytest.raises(ResolveError) as caught:
            await discover("example.com", IMAP, ready)
    assert caught.value.kind is FailureKind.NAME_TEMPORARY


async def test_doubt_about_one_source_does_not_hide_the_next(tools: Tools) -> None:
    script = {"example.com MX": FAIL, "_imaps._tcp.example.com SRV": "0 0 993 imap.example.com."}
    assert await find(tools, script) == [Found(Server("imap.example.com", 993, SSL), Source.SRV)]


async def test_rows_of_one_domain_share_one_search(tools: Tools) -> None:
    async with searching(tools, {"_imaps._tcp.example.com SRV": "0 0 993 imap.example.com."}) as (ready, names):
        found = await asyncio.gather(*(discover("example.com", IMAP, ready) for _ in range(300)))
        await discover("EXAMPLE.com.", IMAP, ready)
    assert all(one == found[0] and one for one in found)
    assert names.asked["example.com MX"] == 1
    assert names.asked["_imaps._tcp.example.com SRV"] == 1


async def test_search_ends_at_its_deadline(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovering, "SEARCH_SECONDS", 0.3)
    async with searching(tools, {"example.com MX": SILENT}, timeout_seconds=60.0) as (ready, _):
        began = time.monotonic()
        with pytest.raises(ResolveError):
            await discover("example.com", IMAP, ready)
    assert time.monotonic() - began < 1.5


async def test_autoconfig_is_looked_for_last_and_only_through_the_guard(tools: Tools) -> None:
    script = {"example.com A": "10.0.0.1", "autoconfig.example.com A": ["127.0.0.1", "169.254.169.254"]}
    async with searching(tools, script) as (ready, names):
        with watch_dials() as dialled:
            assert await discover("example.com", IMAP, ready) == []
    assert names.asked["autoconfig.example.com A"] == 1
    assert set(dialled) <= {names.where}
