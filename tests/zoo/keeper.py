"""I/O: keeps the zoo: what its checks need, and one look at one server in one way."""

import asyncio
import contextlib
import ipaddress
import re
import ssl
import tempfile
import warnings
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from app.checked import Checked
from app.codes import Code
from app.diagnose.diagnose import Diagnosis, diagnose_checked
from app.login.check import Tools, check_login, close_tools, open_tools
from app.login.trace import Deadlines
from app.model import Encryption, Login, Secret, Server
from app.settings import Settings
from tests.fakes.behaviour import PASSWORD, USERNAME, Behaviour, Scene
from tests.fakes.scripted import serve
from tests.real.certificates import Authority, Pair

PATIENCE: Final = Deadlines(total=2.1, resolve=0.7, connect=0.7, tls=0.7, greet=0.7, auth=0.7, select=0.9)
EASE: Final = Deadlines(total=20, resolve=5, connect=5, tls=5, greet=5, auth=5, select=5)
"""For servers that leave nobody waiting: on a busy machine the short deadlines might end what was not the server's."""

WAITED_FOR: Final = frozenset({Code.CONNECTION_TIMEOUT, Code.AUTH_NO_ANSWER})
LONGEST_SECONDS: Final = PATIENCE.total + 0.5
"""No check may take longer, whatever it meets; half a second is for a busy machine."""

_LOGIN_LINE: Final = re.compile(rb"^(?:\S+ )?(?:AUTH|AUTHENTICATE|LOGIN) ", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Ground:
    """What all looks share: tools that trust the zoo's authority, and the servers' TLS contexts by name."""

    tools: Tools
    contexts: Mapping[str, ssl.SSLContext]


@dataclass(frozen=True)
class Sight:
    """What one look showed. `login_count`: logins that the server heard, over all connections."""

    behaviour: Behaviour
    scene: Scene
    expected: Code
    diagnosis: Diagnosis
    checked: Checked
    login_count: int
    seconds: float

    @property
    def label(self) -> str:
        return f"{self.behaviour.name} / {self.scene.protocol} / {self.scene.encryption}"


@contextlib.asynccontextmanager
async def open_ground() -> AsyncIterator[Ground]:
    """Make certificates and tools; let go of them when left."""
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder))
        contexts = make_contexts(authority)
        loopback = (ipaddress.ip_network("127.0.0.0/8"),)
        settings = Settings(
            allow_networks=loopback, allow_ports=frozenset(range(1, 65536)), ca_file=str(authority.ca_file)
        )
        tools = replace(open_tools(settings), deadlines=PATIENCE, hostname="client.example.com")
        try:
            yield Ground(tools, contexts)
        finally:
            await close_tools(tools)


def make_contexts(authority: Authority) -> dict[str, ssl.SSLContext]:
    """Make a server's context for every certificate that a behaviour may name."""
    good = authority.issue("good")
    old, weak, strict = make_context(good), make_context(good), make_context(good)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    weak.set_ciphers("AES128-SHA:@SECLEVEL=0")
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    strict.verify_mode = ssl.CERT_REQUIRED
    strict.load_verify_locations(authority.ca_file)
    return {
        "old": old,
        "weak": weak,
        "strict": strict,
        "good": make_context(good),
        "expired": make_context(authority.issue("expired", expired_days_ago=3)),
        "self-signed": make_context(authority.issue("self-signed", is_self_signed=True)),
        "other name": make_context(authority.issue("other-name", "mail.example.org")),
    }


def make_context(pair: Pair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


async def look(behaviour: Behaviour, scene: Scene, expected: Code, ground: Ground) -> Sight:
    """Run the server, check a login at it, and say what it came to."""
    is_implicit = behaviour.is_tls or (scene.encryption is Encryption.SSL and not behaviour.is_raw)
    loop = asyncio.get_running_loop()
    tls = ground.contexts[behaviour.certificate]
    is_eased = ground.tools.deadlines is PATIENCE and expected not in WAITED_FOR
    tools = replace(ground.tools, deadlines=EASE) if is_eased else ground.tools
    async with serve(behaviour.script(scene), tls=tls, is_implicit=is_implicit) as server:
        where = Server("localhost", server.port, scene.encryption)
        login = Login(scene.protocol, where, USERNAME, Secret(PASSWORD), behaviour.is_token)
        began = loop.time()
        checked = await check_login(login, tools, address=USERNAME)
        seconds = loop.time() - began
        login_count = sum(len(_LOGIN_LINE.findall(heard)) for heard in server.heard)
    diagnosis = diagnose_checked(checked, is_token=behaviour.is_token)
    return Sight(behaviour, scene, expected, diagnosis, checked, login_count, seconds)
