"""No way of writing an inner address leads to it: neither as a host, nor by names, MX, SRV or a second answer."""

import ipaddress
import socket
from collections.abc import Iterator

import pytest

from app.codes import Code
from app.model import Protocol, Server, SideStatus, Source, Stage
from app.verdict import SideVerdict
from app.verify import verify_row
from tests.fakes.dials import watch_dials
from tests.fakes.names import Script, Turns
from tests.fakes.scripted import serve
from tests.verify.conftest import HOST, IMAP, NONE, SMTP, SSL, good_smtp, open_kit, row, side

TARGETS = ("127.0.0.1", "169.254.169.254", "10.0.0.1", "10.255.255.254")
NOWHERE: tuple[ipaddress.IPv4Network, ...] = ()


def ways_to_write(address: str) -> Iterator[str]:
    """Return what resolvers, libraries and browsers take for an IPv4 address."""
    number = int(ipaddress.IPv4Address(address))
    a, b, c, d = (int(part) for part in address.split("."))
    yield from (address, address + ".", f"[{address}]", f" {address} ")
    yield from (str(number), hex(number), hex(number).upper(), f"0{number:o}", f"0x{number:016x}")
    yield from (f"{a}.{number & 0xFFFFFF}", f"{a}.{b}.{number & 0xFFFF}")
    yield from (f"0{a:o}.0{b:o}.0{c:o}.0{d:o}", f"0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}", f"0x{a:x}.{b}.0{c:o}.{d}")
    yield address.translate(str.maketrans("0123456789", "０１２３４５６７８９"))
    yield from (address.replace(".", "。"), address.replace(".", "．"))
    high, low = f"{number >> 16:x}", f"{number & 0xFFFF:x}"
    for prefix in ("::ffff:", "::", "::ffff:0:", "64:ff9b::", "64:ff9b:1::"):
        yield from (f"{prefix}{address}", f"[{prefix}{high}:{low}]", f"{prefix}{high}:{low}%lo")
    yield from (f"2002:{high}:{low}::", f"2002:{high}:{low}::1", f"[2002:{high}:{low}:1::5]")
    yield f"2001:0:{high}:{low}::1"  # Teredo, whatever it carries (RFC 4380)
    yield f"0:0:0:0:0:ffff:{high}:{low}"


INNER = ["localhost", "::1", "[::1]", "0:0:0:0:0:0:0:1", "::", "0", "0.0.0.0", "127.1", "fd00:ec2::254", "fe80::1%lo"]


def verdict_of(verdict: SideVerdict | None) -> SideVerdict:
    assert verdict is not None
    return verdict


@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize("target", [*TARGETS, ""])
async def test_host_that_spells_an_inner_address_is_refused(target: str, protocol: Protocol) -> None:
    async with open_kit({"localhost A": "127.0.0.1"}, networks=NOWHERE) as (kit, names):
        for host in ways_to_write(target) if target else INNER:
            given = side(Server(host, 465 if protocol is SMTP else 993, SSL))
            task = row(given if protocol is SMTP else None, given if protocol is IMAP else None)
            with watch_dials() as dialled:
                found = await verify_row(task, kit)
            verdict = verdict_of(found.smtp or found.imap)
            assert (host, verdict.result.code) == (host, Code.ADDRESS_NOT_ALLOWED)
            assert (host, verdict.result.stage) == (host, Stage.CONNECT)
            assert not verdict.sent_credentials
            assert (host, set(dialled) - {names.where}) == (host, set())


@pytest.mark.parametrize(
    "records",
    [
        {f"{HOST} A": "127.0.0.1"},
        {f"{HOST} A": ["10.0.0.1", "169.254.169.254"]},
        {f"{HOST} AAAA": "::1"},
        {f"{HOST} AAAA": ["::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::10.0.0.1", "2002:a00:1::1"]},
        {f"{HOST} AAAA": ["fd00:ec2::254", "fe80::1"], f"{HOST} A": "0.0.0.0"},
        {f"{HOST} CNAME": "inside.example.net.", "inside.example.net A": "10.0.0.1"},
    ],
)
async def test_name_of_an_inner_address_is_refused(records: Script) -> None:
    given = side(Server(HOST, 465, SSL))
    async with open_kit(records, networks=NOWHERE) as (kit, names):
        with watch_dials() as dialled:
            verdict = verdict_of((await verify_row(row(given), kit)).smtp)
    assert verdict.result.code == Code.ADDRESS_NOT_ALLOWED
    assert set(dialled) <= {names.where}


async def test_public_address_beside_inner_ones_is_the_only_one_dialled() -> None:
    records = {f"{HOST} A": ["10.0.0.1", "127.0.0.7", "127.0.0.1"], f"{HOST} AAAA": "::1"}
    only = (ipaddress.ip_network("127.0.0.7/32"),)
    async with serve(good_smtp(), host="127.0.0.7") as server, open_kit(records, networks=only) as (kit, names):
        with watch_dials() as dialled:
            verdict = verdict_of((await verify_row(row(side(Server(HOST, server.port, NONE))), kit)).smtp)
    assert verdict.result.status is SideStatus.OK
    assert verdict.result.address == "127.0.0.7"
    assert set(dialled) <= {names.where, ("127.0.0.7", server.port)}


async def test_second_answer_of_a_name_is_judged_as_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.login.resolve.KEEP_SECONDS", 0.0)
    only = (ipaddress.ip_network("127.0.0.7/32"),)
    script: Script = {f"{HOST} A": Turns(["127.0.0.7", "127.0.0.1"])}
    async with serve(good_smtp()) as victim, open_kit(script, networks=only) as (kit, names):
        with watch_dials() as dialled:
            verdict = verdict_of((await verify_row(row(side(Server(HOST, victim.port, NONE))), kit)).smtp)
    assert victim.calls == 0
    assert verdict.result.code in {Code.ADDRESS_NOT_ALLOWED, Code.CONNECTION_REFUSED}
    assert ("127.0.0.1", victim.port) not in dialled
    assert names.asked[f"{HOST} A"] == 2


@pytest.mark.parametrize("target", ["inside.example.com.", "127.0.0.1.", "2130706433.", "0x7f000001.", "localhost."])
async def test_service_record_that_leads_inside_is_refused(target: str) -> None:
    async with serve(good_smtp()) as victim:
        script = {
            "_submissions._tcp.example.com SRV": f"0 0 {victim.port} {target}",
            "inside.example.com A": "127.0.0.1",
            "localhost A": "127.0.0.1",
        }
        async with open_kit(script, networks=NOWHERE) as (kit, names):
            with watch_dials() as dialled:
                verdict = verdict_of((await verify_row(row(side()), kit)).smtp)
        assert victim.calls == 0
    assert verdict.side.sources["host"] is Source.SRV
    assert verdict.result.code == Code.ADDRESS_NOT_ALLOWED
    assert set(dialled) <= {names.where}


@pytest.mark.parametrize("target", ["127.0.0.1.", "10.0.0.1.", "localhost.", "inside.example.com.", "."])
async def test_mail_exchanger_that_leads_inside_is_never_dialled(target: str) -> None:
    script = {"example.com MX": f"0 {target}", "inside.example.com A": "10.0.0.1", "localhost A": "127.0.0.1"}
    async with open_kit(script, networks=NOWHERE) as (kit, names):
        with watch_dials() as dialled:
            verdict = verdict_of((await verify_row(row(side()), kit)).smtp)
    assert verdict.result.code == Code.DNS_NOT_FOUND
    assert set(dialled) <= {names.where}


@pytest.mark.parametrize("port", [1, 21, 22, 80, 443, 3306, 5432, 6379, 8080, 9100, 65535])
async def test_port_that_mail_does_not_use_is_refused(port: int) -> None:
    given = side(Server("127.0.0.1", port, NONE))
    async with open_kit(ports=frozenset()) as (kit, names):
        with watch_dials() as dialled:
            verdict = verdict_of((await verify_row(row(given), kit)).smtp)
    assert verdict.result.code == Code.ADDRESS_NOT_ALLOWED
    assert set(dialled) <= {names.where}


async def test_guard_is_what_keeps_them_out() -> None:
    """The same hosts are dialled where the operator allows it."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with open_kit() as (kit, _):
        for host in ("127.0.0.1", "2130706433", "0x7f.1", "127.0.0.1."):
            with watch_dials() as dialled:
                verdict = verdict_of((await verify_row(row(side(Server(host, port, NONE))), kit)).smtp)
            assert verdict.result.code == Code.CONNECTION_REFUSED
            assert ("127.0.0.1", port) in dialled
