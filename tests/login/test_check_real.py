"""Checks against real Dovecot and Postfix."""

import pytest

from app.checked import FailureKind
from app.login.check import Tools
from app.model import Encryption, Mechanism, Protocol, Stage
from tests.login.conftest import PASSWORD, TOKEN, USERS, RealServers, try_login

BOTH = list(Protocol)
WAYS = list(Encryption)


@pytest.mark.parametrize("encryption", WAYS)
@pytest.mark.parametrize("protocol", BOTH)
async def test_right_password_connects(
    protocol: Protocol, encryption: Encryption, real: RealServers, tools: Tools
) -> None:
    checked = await try_login(tools, protocol, encryption, real.port(protocol, encryption))
    assert checked.failure is None
    assert checked.reply is not None
    assert checked.reply.code == 235 or checked.reply.status == "OK"
    trace = checked.trace
    assert trace.sent_credentials
    assert trace.mechanism is Mechanism.PLAIN
    assert trace.address == "127.0.0.1"
    assert trace.greeting
    assert trace.capabilities
    if encryption is Encryption.NONE:
        assert trace.tls_version == ""
    else:
        assert trace.tls_version == "TLSv1.3"
        assert trace.certificate.names == ("localhost", "127.0.0.1", "::1")
        assert trace.certificate.expires_at is not None
    stages = ["resolve", "connect", "tls", "greet", "auth"] + ["select"] * (protocol is Protocol.IMAP)
    assert sorted(trace.timings) == sorted(set(stages) - ({"tls"} if encryption is Encryption.NONE else set()))


@pytest.mark.parametrize("encryption", WAYS)
@pytest.mark.parametrize("protocol", BOTH)
async def test_wrong_password_is_sent_once(
    protocol: Protocol, encryption: Encryption, real: RealServers, tools: Tools
) -> None:
    before = real.failed_logins(protocol).get("sales@example.com", 0)
    port = real.port(protocol, encryption)
    checked = await try_login(tools, protocol, encryption, port, "sales@example.com", password="wrong horse")
    assert checked.failure is not None
    assert checked.failure.kind is FailureKind.REPLY
    assert checked.failure.stage is Stage.AUTH
    reply = checked.failure.reply
    assert reply is not None
    if protocol is Protocol.SMTP:
        assert (reply.code, reply.enhanced) == (535, "5.7.8")
    else:
        assert (reply.status, reply.response_code) == ("NO", "AUTHENTICATIONFAILED")
    assert checked.trace.sent_credentials
    assert real.failed_logins(protocol)["sales@example.com"] == before + 1


@pytest.mark.parametrize("username", USERS)
@pytest.mark.parametrize("protocol", BOTH)
async def test_odd_characters_arrive_whole(protocol: Protocol, username: str, real: RealServers, tools: Tools) -> None:
    checked = await try_login(
        tools, protocol, Encryption.SSL, real.port(protocol, Encryption.SSL), username, password=USERS[username]
    )
    assert checked.failure is None


@pytest.mark.parametrize("encryption", [Encryption.SSL, Encryption.STARTTLS])
@pytest.mark.parametrize("protocol", BOTH)
async def test_good_token_connects(protocol: Protocol, encryption: Encryption, real: RealServers, tools: Tools) -> None:
    checked = await try_login(
        tools, protocol, encryption, real.port(protocol, encryption), password=TOKEN, is_token=True
    )
    assert checked.failure is None
    assert checked.trace.mechanism is Mechanism.XOAUTH2


@pytest.mark.parametrize("protocol", BOTH)
async def test_bad_token_is_refused_and_the_challenge_is_read(
    protocol: Protocol, real: RealServers, tools: Tools
) -> None:
    port = real.port(protocol, Encryption.SSL)
    checked = await try_login(tools, protocol, Encryption.SSL, port, password="stale-token", is_token=True)
    assert checked.failure is not None
    assert checked.failure.kind is FailureKind.REPLY
    assert checked.failure.reply is not None
    assert '"status"' in checked.failure.reply.text


async def test_password_is_not_in_what_a_check_says(real: RealServers, tools: Tools) -> None:
    port = real.port(Protocol.SMTP, Encryption.SSL)
    checked = await try_login(tools, Protocol.SMTP, Encryption.SSL, port)
    assert PASSWORD not in repr(checked)
