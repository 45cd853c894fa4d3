"""Accounts outlive their requests; what failed never overwrites credentials that worked."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.model import Encryption, Options, Save, Side
from app.seal import Sealer, account_binding
from app.store.accounts import count_accounts, delete_account, get_account, list_accounts, upsert_accounts
from app.store.again import list_accounts_to_check, list_failed_rows
from app.store.db import NotFound
from tests.store.ledger import Space, ended, make_account, make_row, make_rows

EMAIL = "info@example.com"
BAD = "INVALID_CREDENTIALS"


async def sealed_of(space: Space, account_id: UUID) -> Any:
    return await space.db.fetchval("SELECT sealed FROM accounts WHERE id = $1", account_id)


async def test_an_account_is_what_its_row_ended_as(space: Space) -> None:
    row = make_row(1, email=EMAIL, provider="gmail", details={"tags": ["a"], "dailyLimit": 5})
    request_id, worker = await space.add([row]), uuid4()
    (claimed,) = await space.claim(request_id, worker)
    await space.end(worker, replace(ended(claimed), account=make_account(space, claimed)))
    (account,) = await list_accounts(space.db, space.id)
    assert (await space.row(request_id))["account_id"] == account.id
    assert (account.email, account.external_id, account.provider) == (EMAIL, "x1", "gmail")
    assert account.details == {"tags": ["a"], "dailyLimit": 5}
    assert (account.smtp_host, account.smtp_port, account.smtp_encryption) == ("smtp.example.com", 465, "ssl")
    assert (account.imap_host, account.imap_port, account.imap_address) == ("imap.example.com", 993, EMAIL)
    assert (account.status, account.error_count, account.smtp_code, account.imap_code) == ("OK", 0, "ok", "ok")
    assert account.smtp_success_at == account.checked_at
    assert (account.smtp_error_at, account.imap_error_at) == (None, None)


async def test_a_failed_update_never_overwrites_what_works(space: Space) -> None:
    account_id = await space.keep(EMAIL, sealed=b"good")
    before = await get_account(space.db, space.id, account_id)
    assert await space.keep(EMAIL, BAD, sealed=b"bad", external_id="other", details={}) == account_id
    assert await get_account(space.db, space.id, account_id) == before
    assert await sealed_of(space, account_id) == b"good"


async def test_nor_what_worked_until_its_last_check(space: Space) -> None:
    account_id = await space.keep(EMAIL, sealed=b"good")
    await space.keep(EMAIL, "CONNECTION_IMPOSSIBLE", sealed=None, is_recheck=True)
    await space.keep(EMAIL, BAD, sealed=b"bad")
    assert await sealed_of(space, account_id) == b"good"
    assert (await get_account(space.db, space.id, account_id)).status == "CONNECTION_IMPOSSIBLE"


async def test_an_account_without_all_mail_works_too(space: Space) -> None:
    account_id = await space.keep(EMAIL, "NO_ACCESS_TO_ALL_MAIL", sealed=b"good")
    await space.keep(EMAIL, BAD, sealed=b"bad")
    assert await sealed_of(space, account_id) == b"good"
    await space.keep(EMAIL, "OK", sealed=b"better")
    await space.keep(EMAIL, "NO_ACCESS_TO_ALL_MAIL", sealed=b"newest")
    account = await get_account(space.db, space.id, account_id)
    assert (account.status, account.error_count) == ("NO_ACCESS_TO_ALL_MAIL", 0)
    assert await sealed_of(space, account_id) == b"newest"


async def test_what_works_overwrites_what_was_there(space: Space) -> None:
    account_id = await space.keep(EMAIL, BAD, sealed=b"bad")
    assert (await get_account(space.db, space.id, account_id)).error_count == 1
    await space.keep(EMAIL, sealed=b"good", external_id="new")
    account = await get_account(space.db, space.id, account_id)
    assert (account.status, account.error_count, account.external_id) == ("OK", 0, "new")
    assert await sealed_of(space, account_id) == b"good"
    await space.keep(EMAIL, sealed=b"better")
    assert await sealed_of(space, account_id) == b"better"


async def test_failures_of_what_never_worked_are_counted_and_kept(space: Space) -> None:
    account_id = await space.keep(EMAIL, BAD, sealed=b"bad")
    await space.keep(EMAIL, BAD, sealed=b"worse")
    assert (await get_account(space.db, space.id, account_id)).error_count == 2
    assert await sealed_of(space, account_id) == b"worse"


async def test_a_failed_row_without_credentials_takes_none_away(space: Space) -> None:
    account_id = await space.keep(EMAIL, sealed=b"good")
    await space.keep(EMAIL, BAD, sealed=None)
    assert await sealed_of(space, account_id) == b"good"
    assert (await get_account(space.db, space.id, account_id)).status == "OK"


async def test_a_row_without_credentials_may_be_kept(space: Space) -> None:
    account_id = await space.keep(EMAIL, BAD, sealed=None)
    assert await sealed_of(space, account_id) is None


async def test_one_side_alone_may_work(space: Space) -> None:
    account_id = await space.keep(EMAIL, sealed=b"good", imap=Side(wanted=False), imap_code="not_checked")
    account = await get_account(space.db, space.id, account_id)
    assert (account.imap_wanted, account.imap_error_at, account.imap_success_at) == (False, None, None)
    await space.keep(EMAIL, BAD, sealed=b"bad")
    assert await sealed_of(space, account_id) == b"good"


async def test_a_check_again_keeps_the_credentials_and_the_details(space: Space) -> None:
    account_id = await space.keep(EMAIL, sealed=b"good", details={"tags": ["a"]})
    moved = Side(True, EMAIL, EMAIL, "new.example.com", 587, Encryption.STARTTLS)
    again: dict[str, Any] = {"sealed": None, "is_recheck": True, "details": {}, "external_id": "other"}
    await space.keep(EMAIL, BAD, smtp=moved, **again)
    account = await get_account(space.db, space.id, account_id)
    assert (account.status, account.error_count, account.smtp_code) == (BAD, 1, "invalid_credentials")
    assert (account.details, account.external_id) == ({"tags": ["a"]}, "x1")
    assert (account.smtp_host, account.smtp_port, account.smtp_encryption) == ("new.example.com", 587, "starttls")
    assert account.smtp_success_at is not None
    assert account.smtp_error_at is not None
    assert await sealed_of(space, account_id) == b"good"
    await space.keep(EMAIL, **again)
    account = await get_account(space.db, space.id, account_id)
    assert (account.status, account.error_count) == ("OK", 0)


async def test_a_check_again_brings_no_deleted_account_back(space: Space) -> None:
    account_id = await space.keep(EMAIL)
    request_id, worker = await space.add([make_row(1, email=EMAIL)]), uuid4()
    (claimed,) = await space.claim(request_id, worker)
    assert await delete_account(space.db, space.id, account_id) == EMAIL
    again = make_account(space, claimed, sealed=None, is_recheck=True)
    await space.end(worker, replace(ended(claimed), account=again))
    assert await count_accounts(space.db, space.id) == 0
    assert (await space.row(request_id))["account_id"] is None


async def test_of_one_address_in_a_block_the_one_that_works_is_kept(space: Space) -> None:
    worker = uuid4()
    accounts = []
    for number, (status, sealed) in enumerate([(BAD, b"bad"), ("OK", b"good")], 1):
        rows = [*make_rows(number - 1), make_row(number, email=EMAIL)]
        claimed = (await space.claim(await space.add(rows), worker))[-1]
        accounts.append(make_account(space, claimed, status, sealed=sealed))
    kept = await upsert_accounts(space.db, accounts)
    assert set(kept) == {(account.request_id, account.row) for account in accounts}
    assert await sealed_of(space, next(iter(kept.values()))) == b"good"


async def test_many_writers_of_the_same_accounts_do_not_wait_for_each_other(space: Space) -> None:
    worker = uuid4()
    blocks = []
    for turn in range(6):
        claimed = await space.claim(await space.add(make_rows(30)), worker)
        accounts = [make_account(space, row, sealed=f"{turn}".encode()) for row in claimed]
        blocks.append(accounts if turn % 2 else accounts[::-1])
    await asyncio.gather(*(upsert_accounts(space.db, block) for block in blocks))
    assert await count_accounts(space.db, space.id) == 30


@pytest.mark.parametrize("is_new", [False, True])
async def test_an_account_that_changed_since_is_not_judged_by_what_it_was(space: Space, is_new: bool) -> None:
    """Its password is mended while a check with the old one is under way, or it is deleted and connected anew."""
    account_id, worker = await space.keep(EMAIL), uuid4()
    request_id = await space.add([make_row(1, email=EMAIL)])
    (claimed,) = await space.claim(request_id, worker)
    if is_new:
        await delete_account(space.db, space.id, account_id)
    other = Side(True, EMAIL, EMAIL, "new.example.com", 465, Encryption.SSL)
    account_id = await space.keep(EMAIL, sealed=b"mended", smtp=other)
    mended = await get_account(space.db, space.id, account_id)
    again = make_account(space, claimed, BAD, sealed=None, is_recheck=True)
    await space.end(worker, replace(ended(claimed, "invalid_credentials"), account=again))
    assert await get_account(space.db, space.id, account_id) == mended
    assert (await space.row(request_id))["account_id"] == account_id


async def test_a_check_is_no_change_unless_it_finds_another_way_in(space: Space) -> None:
    account_id = await space.keep(EMAIL)
    first = await get_account(space.db, space.id, account_id)
    await space.keep(EMAIL, sealed=None, is_recheck=True)
    second = await get_account(space.db, space.id, account_id)
    assert second.checked_at > first.checked_at if first.checked_at and second.checked_at else False
    assert second.updated_at == first.updated_at
    other = Side(True, EMAIL, EMAIL, "smtp.example.com", 587, Encryption.STARTTLS)
    await space.keep(EMAIL, sealed=None, is_recheck=True, smtp=other)
    third = await get_account(space.db, space.id, account_id)
    assert (third.smtp_port, third.updated_at > second.updated_at) == (587, True)


async def test_accounts_are_listed_by_address_and_filtered(space: Space) -> None:
    for email, status in (("c@example.com", "OK"), ("a@example.com", BAD), ("b@Example.net", "OK")):
        await space.keep(email, status)

    async def emails(**filters: Any) -> list[str]:
        return [account.email for account in await list_accounts(space.db, space.id, **filters)]

    assert await emails() == ["a@example.com", "b@Example.net", "c@example.com"]
    assert await emails(status="OK") == ["b@Example.net", "c@example.com"]
    assert await emails(search="EXAMPLE.COM") == ["a@example.com", "c@example.com"]
    assert await emails(after_email="a@example.com", limit=1) == ["b@Example.net"]
    assert await emails(offset=2) == ["c@example.com"]
    assert await count_accounts(space.db, space.id, status="OK") == 2
    assert await count_accounts(space.db, space.id, search="%") == 0


async def test_an_account_is_its_workspaces_alone(space: Space) -> None:
    account_id = await space.keep(EMAIL)
    for ask in (get_account, delete_account):
        with pytest.raises(NotFound):
            await ask(space.db, uuid4(), account_id)
    assert await list_accounts(space.db, uuid4()) == []
    assert await delete_account(space.db, space.id, account_id) == EMAIL
    with pytest.raises(NotFound):
        await get_account(space.db, space.id, account_id)


async def test_what_was_kept_can_be_opened_and_checked_again(space: Space) -> None:
    sealer = Sealer(space.keyring.unwrap(space.workspace.data_key))
    given = make_row(1).secrets
    account_id = await space.keep(EMAIL, sealed=sealer.seal(given, account_binding(space.id, EMAIL)))
    moved = await space.keep("moved@example.com", sealed=sealer.seal(given, account_binding(space.id, EMAIL)))
    found = await list_accounts_to_check(space.db, space.id, [account_id, moved, uuid4()], sealer)
    assert set(found) == {account_id, moved}
    assert found[account_id].secrets == given
    assert (found[account_id].email, found[account_id].pace_key) == (EMAIL, "smtp.example.com")
    assert not found[moved].secrets.smtp
    assert await list_accounts_to_check(space.db, uuid4(), [account_id], sealer) == {}


async def test_failed_rows_come_back_with_their_secrets_while_these_last(space: Space) -> None:
    request_id, worker = await space.add(make_rows(3), Options(save=Save.ALL)), uuid4()
    first, second, _ = await space.claim(request_id, worker)
    await space.end(worker, ended(first), ended(second, "invalid_credentials"))
    key = (await space.read(request_id)).data_key
    assert key is not None
    (row,) = await list_failed_rows(space.db, request_id, Sealer(space.keyring.unwrap(key)))
    given = make_row(2)
    assert (row.row, row.secrets, row.smtp, row.imap, row.extra) == (
        2,
        given.secrets,
        given.smtp,
        given.imap,
        given.extra,
    )
    (row,) = await list_failed_rows(space.db, request_id, None)
    assert row.secrets.smtp is None
