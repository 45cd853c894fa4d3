"""Autoconfig documents are read with care: small, soon, without what expands, and never past the guard."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from yarl import URL

from app.egress import Policy
from app.login import autoconfig
from app.login.autoconfig import (
    LIMIT_BYTES,
    PLACES,
    Told,
    fetch_autoconfig,
    fill_username,
    is_guarded,
    parse_autoconfig,
)
from app.login.resolve import Resolver
from app.model import Encryption, Protocol, Server
from tests.fakes.dials import watch_dials
from tests.fakes.names import Script, serve_names
from tests.fakes.scripted import Do, Scripted, Step, serve

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
HERE: Script = {"autoconfig.example.com A": "127.0.0.1", "other.example.net A": "127.0.0.1"}


def entry(host: str, port: str = "993", mode: str = "SSL", kind: str = "imap", way: str = "incoming") -> str:
    return (
        f'<{way}Server type="{kind}"><hostname>{host}</hostname><port>{port}</port>'
        f"<socketType>{mode}</socketType><username>%EMAILADDRESS%</username></{way}Server>"
    )


def document(*entries: str, head: str = '<?xml version="1.0" encoding="UTF-8"?>') -> bytes:
    body = "".join(entries)
    return f'{head}<clientConfig version="1.1"><emailProvider id="e">{body}</emailProvider></clientConfig>'.encode()


GOOD = document(
    entry("imap.%EMAILDOMAIN%"),
    entry("pop.example.com", "995", kind="pop3"),
    entry("SMTP.example.com", "587", "STARTTLS", kind="smtp", way="outgoing"),
)
FOUND = [
    Told(Protocol.IMAP, Server("imap.example.com", 993, Encryption.SSL)),
    Told(Protocol.SMTP, Server("smtp.example.com", 587, Encryption.STARTTLS)),
]


def answer(body: bytes, status: str = "200 OK", *headers: str) -> list[Step]:
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers))
    return [Do.READ, head.encode() + b"\r\n" + body]


@asynccontextmanager
async def web(steps: list[Step]) -> AsyncIterator[tuple[Scripted, str]]:
    """A web server on the loopback, and where `autoconfig.example.com` is found on it."""
    async with serve(steps) as server:
        yield server, f"http://autoconfig.{{domain}}:{server.port}/mail/config-v1.1.xml"


async def fetch(*places: str, ports: frozenset[int], script: Script = HERE) -> list[Told]:
    async with serve_names(script) as names:
        resolver = Resolver([names.address])
        try:
            return await fetch_autoconfig("example.com", resolver, Policy(LOOPBACK, ports), places, ports)
        finally:
            await resolver.aclose()


def test_servers_are_read_in_the_documents_order() -> None:
    assert parse_autoconfig(GOOD, "example.com") == FOUND
    assert parse_autoconfig(b"\xef\xbb\xbf" + GOOD, "example.com") == FOUND


@pytest.mark.parametrize(
    "broken",
    [
        entry("imap.example.com", mode="plain"),
        entry("imap.example.com", port="0"),
        entry("imap.example.com", port="65536"),
        entry("imap.example.com", port="²"),
        entry("imap.example.com", port="9" * 5000),
        entry("imap.example.com", port="-993"),
        entry("imap.example.com", port=""),
        entry(""),
        entry("a b.example.com"),
        entry("x" * 300 + ".example.com"),
        entry("imap.example.com/evil"),
        '<incomingServer type="imap"/>',
        "<incomingServer><hostname>imap.example.com</hostname></incomingServer>",
    ],
)
def test_entry_that_cannot_be_used_does_not_spoil_the_others(broken: str) -> None:
    good = entry("imap2.example.com")
    assert parse_autoconfig(document(broken, good), "example.com") == [
        Told(Protocol.IMAP, Server("imap2.example.com", 993, Encryption.SSL))
    ]


_LAUGHS = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"\0" * 100,
        b"<html><body>Not found</body></html>",
        b"<clientConfig><emailProvider>",
        document(entry("&b;.example.com"), head=_LAUGHS),
        document(entry("imap.example.com"), head=_LAUGHS.replace("DOCTYPE", "doctype")),
        document(entry("imap.example.com"), head='<!DOCTYPE x SYSTEM "file:///etc/passwd">'),
        document(entry("&b;.example.com"), head=_LAUGHS).decode().encode("utf-16"),
        (b'<?xml version="1.0" encoding="cp037"?>')
        + document(entry("x.example.com"), head="").decode().encode("cp037"),
        document(entry("grüße.example.com")).decode().encode("latin-1"),
        b"<a>" * 20_000,
    ],
)
def test_hostile_documents_say_nothing(hostile: bytes) -> None:
    assert parse_autoconfig(hostile, "example.com") == []


async def test_document_is_fetched_and_asked_for_uncompressed() -> None:
    async with web(answer(GOOD)) as (server, place):
        assert await fetch(place, ports=frozenset({server.port})) == FOUND
    request = bytes(server.heard[0]).lower()
    assert request.startswith(b"get /mail/config-v1.1.xml http/1.1\r\nhost: autoconfig.example.com")
    assert b"accept-encoding: identity\r\n" in request
    assert b"cookie" not in request
    assert b"authorization" not in request


async def test_document_in_clear_is_believed_of_the_domains_own_hosts_only() -> None:
    mixed = document(entry("imap.thief.example.net"), entry("imap.example.com"))
    async with web(answer(mixed)) as (server, place):
        found = await fetch(place, ports=frozenset({server.port}))
    assert found == [Told(Protocol.IMAP, Server("imap.example.com", 993, Encryption.SSL))]


async def test_next_place_is_asked_where_the_first_has_nothing() -> None:
    async with web(answer(b"no", "404 Not Found")) as (empty, first), web(answer(GOOD)) as (full, second):
        assert await fetch(first, second, ports=frozenset({empty.port, full.port})) == FOUND
        assert empty.calls == full.calls == 1


@pytest.mark.parametrize(
    "steps",
    [
        answer(GOOD, "500 Internal Server Error"),
        answer(GOOD, "200 OK", "Content-Encoding: gzip"),
        answer(GOOD + b" " * LIMIT_BYTES),
        answer(GOOD)[:-1],
        [Do.READ, b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + GOOD],
        [Do.READ, b"220 mail.example.com ESMTP\r\n"],
        [Do.READ, b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000],
        [Do.RESET],
    ],
)
async def test_bad_web_servers_have_no_document(steps: list[Step]) -> None:
    async with web(steps) as (server, place):
        assert await fetch(place, ports=frozenset({server.port})) == []


async def test_endless_document_is_cut_off() -> None:
    async with web([Do.READ, b"HTTP/1.1 200 OK\r\n\r\n" + GOOD + b" " * 1_000_000, Do.HANG]) as (server, place):
        assert await fetch(place, ports=frozenset({server.port})) == []


async def test_silent_web_server_costs_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autoconfig, "FETCH_SECONDS", 0.3)
    async with web([Do.HANG]) as (server, place), asyncio.timeout(2):
        assert await fetch(place, ports=frozenset({server.port})) == []


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_redirect_is_followed(status: str) -> None:
    async with web(answer(GOOD)) as (there, _):
        where = f"Location: http://other.example.net:{there.port}/x.xml"
        async with web(answer(b"", status, where)) as (here, place):
            assert await fetch(place, ports=frozenset({here.port, there.port})) == FOUND


async def test_redirects_end() -> None:
    async with web(answer(b"", "302 Found", "Location: /again")) as (server, place):
        assert await fetch(place, ports=frozenset({server.port})) == []
        assert server.calls == 3


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{port}/",
        "http://2130706433:{port}/",
        "http://0x7f000001:{port}/",
        "http://0177.0.0.1:{port}/",
        "http://127.1:{port}/",
        "http://127.0.0.1.:{port}/",
        "http://%31%32%37.0.0.1:{port}/",
        "http://１２７.0.0.1:{port}/",
        "http://[::1]:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://[::127.0.0.1]:{port}/",
        "http://[64:ff9b::7f00:1]:{port}/",
        "http://[2002:7f00:1::]:{port}/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/latest/meta-data/",
        "http://10.0.0.1/",
        "http://user:word@10.0.0.1/",
        "//10.0.0.1/",
        "http://inside.example.com/",
        "http://inside6.example.com/",
        "http://metadata.example.com/",
        "http://loop.example.com:{port}/",
        "http://mixed.example.com:{port}/",
        "http://nowhere.example.com/",
        "https://autoconfig.example.com:22/",
        "file:///etc/passwd",
        "ftp://autoconfig.example.com/",
        "gopher://autoconfig.example.com/",
        "http://",
        "http://[::1",
        "",
    ],
)
async def test_redirect_does_not_lead_past_the_guard(location: str) -> None:
    """The guard lets one port of 127.0.0.9 through, where the first answer comes from, and nothing else."""
    script = {
        "autoconfig.example.com A": "127.0.0.9",
        "inside.example.com A": "10.0.0.1",
        "inside6.example.com AAAA": ["::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::1", "fd00::1"],
        "metadata.example.com A": "169.254.169.254",
        "loop.example.com A": "127.0.0.1",
        "mixed.example.com A": ["10.0.0.1", "127.0.0.1"],
    }
    async with serve(answer(GOOD)) as victim, serve_names(script) as names:
        elsewhere = answer(b"", "302 Found", f"Location: {location.format(port=victim.port)}")
        async with serve(elsewhere, host="127.0.0.9") as here:
            ports = frozenset({here.port, victim.port, 80, 443})
            policy = Policy((ipaddress.ip_network("127.0.0.9/32"),), ports)
            place = f"http://autoconfig.{{domain}}:{here.port}/"
            resolver = Resolver([names.address])
            with watch_dials() as dialled:
                assert await fetch_autoconfig("example.com", resolver, policy, [place], ports) == []
            await resolver.aclose()
        assert victim.calls == 0
    assert here.calls >= 1
    assert set(dialled) - {names.where} <= {("127.0.0.9", here.port)}


def test_only_the_webs_ports_are_dialled_for_documents() -> None:
    assert {80, 443} == autoconfig.WEB_PORTS
    assert all(URL(place.format(domain="example.com")).port in autoconfig.WEB_PORTS for place in PLACES)


def test_document_over_https_is_looked_for_first() -> None:
    assert [URL(place.format(domain="e.com")).scheme for place in PLACES] == ["https", "https", "http"]


@pytest.mark.parametrize(
    ("url", "is_seen"),
    [
        ("https://autoconfig.example.com/x", True),
        ("http://localhost/", True),
        ("https://192.0.2.1/", False),
        ("https://3232235777/", False),
        ("https://[2001:db8::1]/", False),
        ("unix:///run/x", False),
        ("/relative", False),
    ],
)
def test_literal_addresses_are_not_left_to_aiohttp(url: str, is_seen: bool) -> None:
    assert is_guarded(URL(url)) is is_seen


@pytest.mark.parametrize(
    ("template", "username"),
    [
        ("%EMAILLOCALPART%", "jo.ann"),
        (" %EMAILLOCALPART%.%EMAILDOMAIN% ", "jo.ann.example.com"),
        ("mail/%EMAILADDRESS%", "mail/jo.ann@example.com"),
        ("%EMAILLOCALPART%%EMAILLOCALPART%", "jo.annjo.ann"),
    ],
)
def test_document_tells_how_user_names_are_made(template: str, username: str) -> None:
    text = entry("imap.example.com").replace("%EMAILADDRESS%", template)
    (told,) = parse_autoconfig(document(text), "example.com")
    assert fill_username(told.username, "jo.ann@example.com") == username
    assert fill_username(told.username, "%EMAILADDRESS%@example.com").count("%EMAILADDRESS%") >= 1


@pytest.mark.parametrize(
    "template",
    [
        *("", "%EMAILADDRESS%", "%EMAILLOCALPART%@%EMAILDOMAIN%", "everybody", "%EMAILDOMAIN%", "%REALNAME%"),
        *("%EMAILLOCALPART%" + "x" * 200, "%EMAILLOCALPART%&#10;x"),
    ],
)
def test_name_that_says_no_more_than_the_address_is_left_to_it(template: str) -> None:
    text = entry("imap.example.com").replace("%EMAILADDRESS%", template)
    (told,) = parse_autoconfig(document(text), "example.com")
    assert told.username == ""
