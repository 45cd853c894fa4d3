"""The loop has a clock of its own for handshakes; the stage's, which tells what was waited for, shall ring first."""

import asyncio

import pytest

from app.login import connect
from app.login.check import Tools
from app.login.tls import HANDSHAKE_LIMIT_SECONDS
from app.model import Encryption, Protocol, Stage
from app.settings import Settings, SettingsError
from tests.fakes.scripted import Do, Step, serve
from tests.login.conftest import try_login

ASKED: dict[Protocol, list[Step]] = {
    Protocol.SMTP: [b"220 mail\r\n", "EHLO", b"250-mail\r\n250 STARTTLS\r\n", "STARTTLS", b"220 go\r\n"],
    Protocol.IMAP: [b"* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n", "STARTTLS", b"TAG OK go\r\n"],
}


@pytest.mark.parametrize("encryption", [Encryption.SSL, Encryption.STARTTLS])
@pytest.mark.parametrize("protocol", Protocol)
async def test_every_handshake_has_our_limit(
    protocol: Protocol, encryption: Encryption, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "HANDSHAKE_LIMIT_SECONDS", 0.2)
    steps = ASKED[protocol] if encryption is Encryption.STARTTLS else []
    async with serve([*steps, Do.HANG]) as server, asyncio.timeout(tools.deadlines.tls / 2):
        checked = await try_login(tools, protocol, encryption, server.port)
    assert checked.failure is not None
    assert checked.failure.stage is Stage.TLS


def test_no_check_may_last_until_the_limit() -> None:
    with pytest.raises(SettingsError, match="CHECK_TIMEOUT"):
        Settings.from_env({"BULK_CONNECT_CHECK_TIMEOUT": str(HANDSHAKE_LIMIT_SECONDS)})
