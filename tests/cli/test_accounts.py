"""The commands for accounts that are kept, against a service that says what the test wants."""

import json

from tests.cli.test_remote import call, served, status
from tests.client.conftest import Stub, payload
from tests.client.conftest import stub as stub  # noqa: PLC0414 - the fixture

ACCOUNTS = "/v1/email-accounts"
SIDES = {"smtp": {"code": "ok"}, "imap": None}


def kept(stub: Stub) -> None:
    items = [
        {"id": "a1", "emailAddress": "big-sales@example.com", "status": "OK", "lastCheckTime": None, **SIDES},
        {"id": "a2", "emailAddress": "sales@example.com", "status": "OK", "lastCheckTime": None, **SIDES},
    ]
    stub.on(
        "GET",
        ACCOUNTS,
        payload(items=items[:1], nextCursor="big-sales@example.com", total=2),
        payload(items=items[1:], nextCursor=None, total=2),
    )


def ids_sent(stub: Stub) -> list[str]:
    (body,) = [body for method, path, _, body in stub.asked if (method, path) == ("POST", f"{ACCOUNTS}/reconnect")]
    return list(json.loads(body)["emailAccountIds"])


async def test_accounts_of_all_pages_are_listed(stub: Stub) -> None:
    kept(stub)
    ended = await call(stub, "accounts", "list", "--status", "ok")
    assert ended.code == 0
    assert "big-sales@example.com" in ended.out
    assert "\nsales@example.com" in ended.out
    assert "status=OK" in stub.asked[0][1]


async def test_accounts_are_listed_for_scripts(stub: Stub) -> None:
    kept(stub)
    ended = await call(stub, "accounts", "list", "--json")
    assert [account["id"] for account in json.loads(ended.out)] == ["a1", "a2"]


async def test_no_accounts_are_told_as_none(stub: Stub) -> None:
    stub.on("GET", ACCOUNTS, payload(items=[], nextCursor=None, total=0))
    assert "No accounts yet" in (await call(stub, "accounts", "list")).out
    assert "No account is like that" in (await call(stub, "accounts", "list", "--search", "x")).out
    assert (await call(stub, "reconnect", "--all")).code == 2


async def test_an_account_is_checked_again_by_its_very_address_or_its_id(stub: Stub) -> None:
    kept(stub)
    stub.on("POST", f"{ACCOUNTS}/reconnect", payload(requestId="r1", total=2, accepted=2))
    ended = await call(stub, "reconnect", "Sales@example.com", "a7")
    assert (ended.code, ids_sent(stub)) == (0, ["a2", "a7"])
    assert "bulk-connect status r1 --wait" in ended.out


async def test_reconnect_is_1_where_not_one_account_is_accepted(stub: Stub) -> None:
    stub.on("POST", f"{ACCOUNTS}/reconnect", payload(requestId="r1", total=1, accepted=0, invalid=1))
    assert (await call(stub, "reconnect", "a7")).code == 1
    assert (await call(stub, "reconnect", "a7", "--json")).code == 1


async def test_reconnect_waits_and_ends_as_the_accounts_did(stub: Stub) -> None:
    kept(stub)
    served(stub, status(pending=2), status(connected=1, failed=1))
    stub.on("POST", f"{ACCOUNTS}/reconnect", payload(requestId="r1", total=2, accepted=2))
    ended = await call(stub, "reconnect", "--all", "--wait")
    assert (ended.code, ids_sent(stub)) == (1, ["a1", "a2"])
    assert "1 connected, 1 failed" in ended.out


async def test_an_address_that_is_not_kept_is_not_checked(stub: Stub) -> None:
    kept(stub)
    ended = await call(stub, "reconnect", "other@example.com")
    assert ended.code == 2
    assert "no account other@example.com" in ended.err
    assert not [path for method, path, _, _ in stub.asked if method == "POST"]


async def test_reconnect_must_say_which(stub: Stub) -> None:
    for arguments in ((), ("a1", "--all"), ("--status", "OK", "--all")):
        ended = await call(stub, "reconnect", *arguments)
        assert ended.code == 2
        assert "Say which accounts" in ended.err
    assert not stub.asked
