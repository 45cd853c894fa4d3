"""A domain may name several servers: the next is tried where one is not there, and no login is made twice."""

import ssl
from dataclasses import replace

import pytest

from app import complete
from app.codes import Code
from app.login.discover import Found
from app.model import Protocol, Server, Side, SideStatus, Source
from app.verdict import SideVerdict
from app.verify import verify_row
from tests.fakes.names import Script
from tests.fakes.scripted import Do, Step, serve
from tests.real.certificates import Authority
from tests.verify.conftest import ADDRESS, HOST, NONE, open_kit, row, side, smtp_starttls

NOT_THERE: dict[str, list[Step]] = {
    "closes": [Do.CLOSE],
    "is a web server": [b"HTTP/1.1 400 Bad Request\r\n\r\n", Do.CLOSE],
    "is silent": [Do.HANG],
    "strips STARTTLS": [b"220 mail ESMTP\r\n", "EHLO", b"250 mail\r\n", Do.HANG],
}
REFUSAL: list[Step] = [
    *smtp_starttls()[:-4],
    *("AUTH PLAIN", b"535 5.7.8 Authentication credentials invalid\r\n", "QUIT", b"221 bye\r\n"),
]
BUSY: list[Step] = [b"421 4.3.2 Service not available\r\n", Do.CLOSE]


def sure(verdict: SideVerdict | None) -> SideVerdict:
    assert verdict is not None
    return verdict


def name_servers(*ports: int, first: str = HOST) -> Script:
    """Return what the name servers say of a domain with a submission server on each port, the first one first."""
    records = [f"{rank} 0 {port} {HOST if rank else first}." for rank, port in enumerate(ports)]
    return {f"{HOST} A": "127.0.0.1", "inside.example.com A": "10.0.0.1", "_submission._tcp.example.com SRV": records}


@pytest.mark.parametrize("fault", NOT_THERE)
async def test_next_server_is_tried_where_the_first_is_none(
    fault: str, authority: Authority, context: ssl.SSLContext
) -> None:
    async with (
        serve(NOT_THERE[fault]) as first,
        serve(smtp_starttls(), tls=context) as second,
        open_kit(name_servers(first.port, second.port), ca_file=str(authority.ca_file)) as (kit, _),
    ):
        verdict = sure((await verify_row(row(side()), kit)).smtp)
    assert verdict.result.status is SideStatus.OK
    assert verdict.side.port == second.port
    assert set(verdict.side.sources.values()) == {Source.SRV}
    assert verdict.result.corrections == ()
    assert first.calls == second.calls == 1


@pytest.mark.parametrize("first", ["inside.example.com", "nowhere.example.com"])
async def test_server_that_cannot_be_dialled_is_passed_over(
    first: str, authority: Authority, context: ssl.SSLContext
) -> None:
    async with (
        serve(smtp_starttls(), tls=context) as second,
        open_kit(name_servers(587, second.port, first=first), ca_file=str(authority.ca_file)) as (kit, _),
    ):
        verdict = sure((await verify_row(row(side()), kit)).smtp)
    assert (verdict.result.code, verdict.side.host) == (Code.OK, HOST)


@pytest.mark.parametrize(("steps", "code"), [(REFUSAL, Code.INVALID_CREDENTIALS), (BUSY, Code.TEMPORARY_SERVER_ERROR)])
async def test_what_a_mail_server_says_stands(
    steps: list[Step], code: Code, authority: Authority, context: ssl.SSLContext
) -> None:
    async with (
        serve(steps, tls=context) as first,
        serve(smtp_starttls(), tls=context) as second,
        open_kit(name_servers(first.port, second.port), ca_file=str(authority.ca_file)) as (kit, _),
    ):
        verdict = sure((await verify_row(row(side()), kit)).smtp)
    assert verdict.result.code == code
    assert (first.calls, second.calls) == (1, 0)


async def test_first_server_is_told_of_where_none_is_there() -> None:
    async with (
        serve([Do.CLOSE]) as first,
        serve(NOT_THERE["is a web server"]) as second,
        open_kit(name_servers(first.port, second.port)) as (kit, _),
    ):
        verdict = sure((await verify_row(row(side(), auto_correct=False), kit)).smtp)
    assert (verdict.result.code, verdict.result.port) == (Code.CONNECTION_CLOSED, first.port)
    assert verdict.result.is_retryable


async def test_servers_share_the_time_of_one_check() -> None:
    async with (
        serve([Do.HANG]) as one,
        serve([Do.HANG]) as two,
        serve([Do.HANG]) as three,
        open_kit(name_servers(one.port, two.port, three.port)) as (kit, _),
    ):
        hasty = replace(kit, timeout_seconds=0.8)
        verdict = sure((await verify_row(row(side()), hasty)).smtp)
    assert verdict.result.code == Code.CONNECTION_TIMEOUT
    assert one.calls + two.calls + three.calls <= 2


async def test_server_that_is_named_again_and_again_is_tried_once(
    authority: Authority, context: ssl.SSLContext
) -> None:
    async with serve([Do.CLOSE]) as first, serve(smtp_starttls(), tls=context) as second:
        names = name_servers(first.port, first.port, first.port, first.port, second.port)
        async with open_kit(names, ca_file=str(authority.ca_file)) as (kit, _):
            verdict = sure((await verify_row(row(side()), kit)).smtp)
    assert verdict.side.port == second.port
    assert first.calls == 1


async def test_server_that_the_row_names_is_not_left_for_another() -> None:
    async with (
        serve([Do.CLOSE]) as named,
        serve(smtp_starttls()) as other,
        open_kit(name_servers(other.port)) as (kit, _),
    ):
        given = row(side(Server(HOST, named.port, NONE)), auto_correct=False)
        verdict = sure((await verify_row(given, kit)).smtp)
    assert verdict.result.code == Code.CONNECTION_CLOSED
    assert other.calls == 0


@pytest.mark.parametrize(
    ("source", "username"), [(Source.ADDRESS, "info"), (Source.ROW, ADDRESS), (Source.OTHER_SIDE, ADDRESS)]
)
async def test_document_says_how_the_user_is_called_where_nobody_else_does(
    source: Source, username: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def discover(*_: object) -> list[Found]:
        return [Found(Server(HOST, 993, NONE), Source.AUTOCONFIG, "%EMAILLOCALPART%")]

    monkeypatch.setattr(complete, "discover", discover)
    given = Side(True, ADDRESS, ADDRESS, sources={"username": source})
    async with open_kit() as (kit, _):
        (found,) = await complete.complete_side(Protocol.IMAP, given, kit.tools)
    assert found.username == username
    assert found.sources["username"] is (Source.AUTOCONFIG if source is Source.ADDRESS else source)
