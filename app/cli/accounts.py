"""I/O: the commands for accounts that a service keeps: listed, and checked again."""

import uuid
from pathlib import Path
from typing import Any, Final

import click
from rich.markup import escape
from rich.table import Table

from app.cli import screen
from app.cli.remote import FILE_OUT, call, follow, print_json, service_options, tell_accepted
from app.cli.root import EXIT_USAGE, CommandError
from app.client import Client
from app.model import AccountStatus

Json = dict[str, Any]

STATUSES: Final = click.Choice([status.value for status in AccountStatus], case_sensitive=False)


@click.group("accounts")
def accounts_command() -> None:
    """Show the accounts that are kept."""


@accounts_command.command("list")
@click.option("--status", type=STATUSES, help="only accounts in this state")
@click.option("--search", default="", help="only addresses with this text in them")
@service_options
def list_command(status: str | None, search: str, url: str, key: str, as_json: bool) -> int:
    """List accounts by address, with how the last check of each side ended."""

    async def work(client: Client) -> int:
        found = await _list(client, status=status or "", search=search)
        if as_json:
            print_json(found)
        elif found:
            screen.console().print(_table(found))
        else:
            click.echo("No account is like that." if status or search else "No accounts yet: bulk-connect connect FILE")
        return 0

    return call(url, key, work)


@click.command("reconnect")
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...")
@click.option("--status", type=STATUSES, help="all accounts in this state")
@click.option("--all", "is_all", is_flag=True, help="all accounts")
@click.option("--wait", is_flag=True, help="until every account has its outcome, with a progress bar and a table")
@click.option("--report", type=FILE_OUT, help="save the CSV report there; implies --wait")
@service_options
def reconnect_command(
    accounts: tuple[str, ...],
    status: str | None,
    is_all: bool,
    wait: bool,
    report: Path | None,
    url: str,
    key: str,
    as_json: bool,
) -> int:
    """Check accounts that are kept once more. ACCOUNT is an address or an id.

    Exit code 0: all connected, or, without --wait, accepted; 1: some did not connect, or not one account could be
    accepted; 2: the call is wrong; 3: the service is away.
    """
    if (bool(accounts), status is not None, is_all).count(True) != 1:
        raise CommandError("Say which accounts: their addresses or ids, or --status, or --all", EXIT_USAGE)

    async def work(client: Client) -> int:
        if accounts:
            ids = [await _find(client, account) for account in accounts]
        else:
            ids = [str(account["id"]) for account in await _list(client, status=status or "", search="")]
        if not ids:
            raise CommandError("There is no such account", EXIT_USAGE)
        accepted = await client.reconnect(ids, uuid.uuid4().hex)
        if not (wait or report):
            return tell_accepted(accepted, as_json)
        return await follow(client, str(accepted["requestId"]), report, as_json=as_json)

    return call(url, key, work)


async def _list(client: Client, *, status: str, search: str) -> list[Json]:
    filters = {name: value for name, value in (("status", status), ("search", search)) if value}
    return [account async for account in client.list_accounts(filters)]


async def _find(client: Client, account: str) -> str:
    """Return the id of an account that is named by its address; an id stands for itself."""
    if "@" not in account:
        return account
    for found in await _list(client, status="", search=account):
        if str(found.get("emailAddress")).casefold() == account.casefold():
            return str(found["id"])
    raise CommandError(f"There is no account {account} in your workspace", EXIT_USAGE)


def _table(accounts: list[Json]) -> Table:
    table = Table(pad_edge=False, show_edge=False)
    for name in ("mailbox", "status", "SMTP", "IMAP", "checked"):
        table.add_column(name, overflow="fold")
    for account in accounts:
        sides = [str((account.get(side) or {}).get("code") or "") for side in ("smtp", "imap")]
        cells = (account.get("emailAddress"), account.get("status"), *sides, account.get("lastCheckTime") or "")
        table.add_row(*(escape(str(cell)) for cell in cells))
    return table
