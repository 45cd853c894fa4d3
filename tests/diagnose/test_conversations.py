"""What real servers said, said again over the wire: a check of it comes to the same code as the pasted words."""

import re
from collections.abc import AsyncIterator, Sequence

import pytest

from app.codes import Code
from app.diagnose.diagnose import Diagnosis, diagnose_checked
from app.login.check import Tools, check_login, close_tools, open_tools
from app.model import Encryption, Login, Protocol, Secret, Server, Stage
from app.settings import Settings
from tests.fakes.behaviour import PASSWORD, USERNAME, Scene
from tests.fakes.scripted import Do, Step, serve
from tests.fakes.zoo import list_cases
from tests.login.conftest import ALL_PORTS, LOOPBACK
from tests.replies.read import Known, read_replies

WHOLE = {
    Protocol.SMTP: re.compile(r"(?:[45]\d\d-[^\n]*\n)*[45]\d\d [^\n]*\n?"),
    Protocol.IMAP: re.compile(r"(?:NO|BAD) [^\n]*"),
}
"""Replies as a server sends them, not as a library tells of them."""


def list_sayable(stage: Stage) -> list[Known]:
    """Return the replies that a server of ours can say as they stand."""
    return [
        known
        for known in (*read_replies("dev.jsonl"), *read_replies("more.jsonl"))
        if known.stage is stage
        and WHOLE[known.protocol].fullmatch(known.raw)
        and (stage is Stage.AUTH or known.protocol is Protocol.SMTP)
    ]


@pytest.fixture(scope="module")
async def plain_tools() -> AsyncIterator[Tools]:
    opened = open_tools(Settings(allow_networks=LOOPBACK, allow_ports=ALL_PORTS))
    yield opened
    await close_tools(opened)


async def converse(tools: Tools, known: Known, steps: Sequence[Step]) -> Diagnosis:
    async with serve(steps) as server:
        login = Login(
            known.protocol, Server("127.0.0.1", server.port, Encryption.NONE), USERNAME, Secret(PASSWORD), False
        )
        checked = await check_login(login, tools, address=USERNAME)
    return diagnose_checked(checked, provider=known.provider)


def as_lines(known: Known) -> bytes:
    tag = b"TAG " if known.protocol is Protocol.IMAP else b""
    return tag + known.raw.rstrip("\n").replace("\n", "\r\n").encode() + b"\r\n"


@pytest.mark.parametrize("known", list_sayable(Stage.AUTH), ids=lambda known: known.id)
async def test_refused_login_comes_to_its_code_over_the_wire(known: Known, plain_tools: Tools) -> None:
    scene = Scene(known.protocol, Encryption.NONE)
    found = await converse(plain_tools, known, [*scene.asked(), as_lines(known), Do.READ])
    assert found.code is known.code, known.raw


async def test_refusal_in_the_letters_of_a_country_comes_to_its_code(plain_tools: Tools) -> None:
    known = next(known for known in read_replies("more.jsonl") if "ÇëÊ¹ÓÃÊÚÈ¨Âë" in known.raw)
    said = b"535 Error: " + "请使用授权码登录。".encode("gb2312") + b"\r\n"
    found = await converse(plain_tools, known, [*Scene(Protocol.SMTP, Encryption.NONE).asked(), said, Do.READ])
    assert found.code is Code.APP_PASSWORD_REQUIRED
    assert "请使用授权码登录" in found.evidence


@pytest.mark.parametrize("known", list_sayable(Stage.GREET), ids=lambda known: known.id)
async def test_refusal_instead_of_a_greeting_comes_to_its_code(known: Known, plain_tools: Tools) -> None:
    found = await converse(plain_tools, known, [as_lines(known), Do.READ])
    assert found.code is known.code, known.raw


def test_every_code_is_met_in_a_conversation() -> None:
    said = {known.code for stage in (Stage.AUTH, Stage.GREET) for known in list_sayable(stage)}
    assert len(said) >= 20
    assert set(Code) - said - {code for _, _, code in list_cases()} == {
        # Nobody was talked to: tests/verify, tests/login/test_connect.py.
        Code.ADDRESS_NOT_ALLOWED,
        Code.CONNECTION_REFUSED,
        Code.DNS_NOT_FOUND,
        Code.HOST_UNREACHABLE,
        # The login worked: tests/verify.
        Code.ALL_MAIL_HIDDEN,
        # What befell our own side: tests/jobs.
        Code.INTERRUPTED,
        Code.NOT_CHECKED,
    }
