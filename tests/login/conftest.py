"""What the tests of logins share: an authority, real servers, and tools that may dial the loopback."""

import ipaddress
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.checked import Checked
from app.login.check import Tools, check_login, close_tools, open_tools
from app.model import Encryption, Login, Protocol, Secret, Server
from app.settings import Settings
from tests.real import dovecot, postfix, process
from tests.real.certificates import Authority
from tests.real.tokens import TokenServer

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
ALL_PORTS = frozenset(range(1, 65536))
PASSWORD = "right horse"
TOKEN = "ya29.good-token-of-info"

USERS = {
    "info@example.com": PASSWORD,
    "sales@example.com": PASSWORD,
    "quotes@example.com": 'p"a\\ss',
    "plus+tag#1!@example.com": "a=b,c%d",
    "with space@example.com": " leading and trailing ",
    "grüße@example.com": "pässwörd-密码",
    "long@example.com": "x" * 900,
    "brackets{5}@example.com": "{5}+*%",
}


@dataclass(frozen=True)
class RealServers:
    """Dovecot and Postfix with the same users."""

    imap: dovecot.Handle
    smtp: postfix.Handle

    def port(self, protocol: Protocol, encryption: Encryption) -> int:
        if protocol is Protocol.IMAP:
            return self.imap.ssl if encryption is Encryption.SSL else self.imap.starttls
        return {
            Encryption.SSL: self.smtp.ssl,
            Encryption.STARTTLS: self.smtp.starttls,
            Encryption.NONE: self.smtp.none,
        }[encryption]

    def failed_logins(self, protocol: Protocol) -> dict[str, int]:
        return (self.imap if protocol is Protocol.IMAP else self.smtp).failed_logins()


@pytest.fixture(scope="session")
def authority() -> Iterator[Authority]:
    with tempfile.TemporaryDirectory() as folder:
        yield Authority(Path(folder))


@pytest.fixture(scope="session")
async def tokens() -> AsyncIterator[TokenServer]:
    async with TokenServer({TOKEN: "info@example.com"}) as server:
        yield server


@pytest.fixture(scope="session")
def real(authority: Authority, tokens: TokenServer) -> Iterator[RealServers]:
    pair = authority.issue("good")
    with process.open_folder("login-tests") as folder:
        try:
            imap = dovecot.start(folder / "imap", USERS, pair, introspection_url=tokens.url)
        except process.UnavailableError as reason:
            pytest.skip(str(reason))
        try:
            smtp = postfix.start(folder / "smtp", USERS, pair, introspection_url=tokens.url)
        except process.UnavailableError as reason:
            imap.stop()
            pytest.skip(str(reason))
        yield RealServers(imap, smtp)
        process.stop(smtp.server, smtp.auth.server, imap.server)


@pytest.fixture(scope="session")
async def tools(authority: Authority) -> AsyncIterator[Tools]:
    settings = Settings(allow_networks=LOOPBACK, allow_ports=ALL_PORTS, ca_file=str(authority.ca_file))
    opened = open_tools(settings)
    yield opened
    await close_tools(opened)


async def try_login(
    tools: Tools,
    protocol: Protocol,
    encryption: Encryption,
    port: int,
    username: str = "info@example.com",
    *,
    password: str = PASSWORD,
    is_token: bool = False,
    host: str = "localhost",
) -> Checked:
    """Check one login at a server of the test's."""
    login = Login(protocol, Server(host, port, encryption), username, Secret(password), is_token)
    return await check_login(login, tools, address=username)
