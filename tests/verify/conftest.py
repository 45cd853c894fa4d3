"""What the tests of whole rows share: an authority, and a kit with deadlines, policy and name server of the test's."""

import ipaddress
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from app.login.check import close_tools, open_tools
from app.login.trace import Deadlines
from app.model import Encryption, Protocol, Secret, Secrets, Server, Side
from app.pace import Pace
from app.settings import Settings
from app.task import Kit, RowTask
from tests.fakes.names import Names, Script, serve_names
from tests.fakes.scripted import Do, Step
from tests.real.certificates import Authority

SMTP, IMAP = Protocol.SMTP, Protocol.IMAP
SSL, STARTTLS, NONE = Encryption.SSL, Encryption.STARTTLS, Encryption.NONE
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
ANY_PORT = frozenset(range(1, 65536))
HOST = "mail.example.com"
ADDRESS = "info@example.com"
PASSWORD = "right horse"
QUICK = Deadlines(total=3.0, resolve=1.0, connect=0.6, tls=0.6, greet=0.6, auth=0.6, select=0.6)
HERE: Script = {f"{HOST} A": "127.0.0.1"}


@pytest.fixture(scope="session")
def authority() -> Iterator[Authority]:
    with tempfile.TemporaryDirectory() as folder:
        yield Authority(Path(folder))


@pytest.fixture(scope="session")
def context(authority: Authority) -> ssl.SSLContext:
    """What a server of the host speaks TLS with."""
    pair = authority.issue("host", HOST, "localhost")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(pair.certificate, pair.key)
    return made


@asynccontextmanager
async def open_kit(
    script: Script = HERE,
    *,
    ca_file: str = "",
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = LOOPBACK,
    ports: frozenset[int] = ANY_PORT,
    deadlines: Deadlines = QUICK,
) -> AsyncIterator[tuple[Kit, Names]]:
    """Make a kit whose names come from `script`."""
    async with serve_names(script) as names:
        settings = Settings(allow_networks=networks, allow_ports=ports, ca_file=ca_file, dns_servers=(names.address,))
        tools = replace(open_tools(settings), deadlines=deadlines)
        try:
            yield Kit(tools, Pace(), deadlines.total), names
        finally:
            await close_tools(tools)


def side(server: Server | None = None, address: str = ADDRESS) -> Side:
    """Make a side of a row; None: its server is to be found."""
    if server is None:
        return Side(True, address, address)
    return Side(True, address, address, server.host, server.port, server.encryption)


def row(
    smtp: Side | None = None,
    imap: Side | None = None,
    *,
    provider: str = "",
    password: str = PASSWORD,
    is_token: bool = False,
    auto_correct: bool = True,
) -> RowTask:
    """Make a row with one credential for both sides."""
    secret = Secret(password)
    secrets = Secrets(secret, secret, is_token, is_token)
    return RowTask(ADDRESS, provider, provider or "example.com", smtp, imap, secrets, auto_correct)


def good_smtp(*words: bytes, before: list[Step] | None = None) -> list[Step]:
    """A session that takes the login. `before`: what comes before EHLO is asked (again)."""
    offers = b"".join(b"250-" + word + b"\r\n" for word in (HOST.encode(), *words))
    start: list[Step] = [b"220 mail ESMTP\r\n"] if before is None else before
    return [*start, "EHLO", offers + b"250 AUTH PLAIN\r\n", "AUTH PLAIN", b"235 2.7.0 ok\r\n", "QUIT", b"221 bye\r\n"]


def smtp_starttls() -> list[Step]:
    """A session up to the login over STARTTLS, which it takes."""
    hello: list[Step] = [b"220 mail ESMTP\r\n", "EHLO", b"250-mail\r\n250 STARTTLS\r\n"]
    return good_smtp(before=[*hello, "STARTTLS", b"220 go ahead\r\n", Do.STARTTLS])


def good_imap() -> list[Step]:
    return [
        b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\r\n",
        "AUTHENTICATE PLAIN",
        b"TAG OK [CAPABILITY IMAP4rev1] welcome\r\n",
        "LIST",
        b'* LIST () "/" INBOX\r\nTAG OK listed\r\n',
        "EXAMINE",
        b"* 3 EXISTS\r\nTAG OK opened\r\n",
        "LOGOUT",
        b"* BYE\r\nTAG OK bye\r\n",
    ]
