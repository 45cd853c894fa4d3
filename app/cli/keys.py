"""I/O: `keys`: workspaces, their API keys, and the wrapping of data keys."""

import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from app.cli.plain import plain_errors
from app.cli.root import EXIT_USAGE, CommandError, read_settings, run_async
from app.ground import Ground, standing
from app.model import Scope
from app.report.cell import render_time
from app.seal import Keyring
from app.store import workspaces
from app.store.db import connect
from app.store.migrate import migrate

T = TypeVar("T")
FOLDER: Final = click.Path(file_okay=False, path_type=Path)

_DEFAULT_SCOPES: Final = (Scope.CONNECT, Scope.READ, Scope.WRITE)
_SPAN: Final = re.compile(r"(\d{1,5})([hdwmy])")
_HOURS: Final = {"h": 1, "d": 24, "w": 24 * 7, "m": 24 * 30, "y": 24 * 365}


@click.group("keys")
@click.option("--data-dir", type=FOLDER, help="folder of the embedded servers; .data unless set")
@click.pass_context
def keys_command(ctx: click.Context, data_dir: Path | None) -> None:
    """Make, list and revoke API keys.

    Against DATABASE_URL or, where that is not set, the servers of --data-dir, whether `up` is running on it or not.
    """
    ctx.obj = data_dir


def _data_dir_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--data-dir", type=FOLDER, help="folder of the embedded servers")(command)


@keys_command.command("create")
@click.option("--workspace", required=True, help="whose key it is; made where it is missing")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="what it may do, once for each; unless given: connect, read and write",
)
@click.option("--name", default="", help="a label, shown by `keys list`")
@click.option("--expires", help="when it ends: a date (2027-01-31), a time in UTC, or a span (12h, 30d, 1y)")
@click.option("--json", "as_json", is_flag=True, help="as JSON, for scripts")
@_data_dir_option
@click.pass_context
def create_command(
    ctx: click.Context,
    workspace: str,
    scopes: tuple[str, ...],
    name: str,
    expires: str | None,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """Make a key and print it. It is shown this once; only a hash is kept."""
    wanted = tuple(Scope(scope) for scope in scopes) or _DEFAULT_SCOPES
    expires_at = read_expiry(expires, datetime.now(UTC)) if expires else None
    if not workspace.strip():
        raise CommandError("--workspace must not be empty", EXIT_USAGE)

    async def work(db: Any, ground: Ground) -> tuple[str, str]:
        keyring = Keyring.from_texts(ground.settings.secret_keys)
        owner = await workspaces.insert_workspace(db, workspace.strip(), keyring)
        text, key_id = await workspaces.insert_api_key(db, owner.id, wanted, name=name, expires_at=expires_at)
        return text, str(key_id)

    text, key_id = _with_database(data_dir or ctx.obj, work)
    if as_json:
        about = {"id": key_id, "key": text, "workspace": workspace.strip(), "name": name, "scopes": sorted(wanted)}
        click.echo(json.dumps({**about, "expiresAt": _time(expires_at)}))
    else:
        click.echo(text)
        click.echo("Keep it: it is not shown again. Use: export BULK_CONNECT_API_KEY=<the key>", err=True)


@keys_command.command("list")
@click.option("--json", "as_json", is_flag=True, help="as JSON, for scripts")
@_data_dir_option
@click.pass_context
def list_command(ctx: click.Context, as_json: bool, data_dir: Path | None) -> None:
    """List all keys by the part that is shown."""

    async def work(db: Any, _ground: Ground) -> list[workspaces.ApiKey]:
        return await workspaces.list_api_keys(db)

    found = _with_database(data_dir or ctx.obj, work)
    now = datetime.now(UTC)
    lines = [
        {
            "id": str(key.id),
            "prefix": key.prefix,
            "workspace": key.workspace,
            "name": key.name,
            "scopes": list(key.scopes),
            "createdAt": _time(key.created_at),
            "expiresAt": _time(key.expires_at),
            "revokedAt": _time(key.revoked_at),
            "state": _state(key, now),
        }
        for key in found
    ]
    if as_json:
        click.echo(json.dumps(lines, indent=2))
        return
    from rich.table import Table

    from app.cli.screen import console

    table = Table("key", "workspace", "name", "scopes", "made", "state", box=None, pad_edge=False)
    for key, line in zip(found, lines, strict=True):
        until = f" until {_time(key.expires_at)}" if key.expires_at and line["state"] == "live" else ""
        made, state = _time(key.created_at), f"{line['state']}{until}"
        table.add_row(f"{key.prefix}…", key.workspace, key.name, ", ".join(key.scopes), made, state)
    console().print(table)


@keys_command.command("revoke")
@click.argument("key")
@_data_dir_option
@click.pass_context
def revoke_command(ctx: click.Context, key: str, data_dir: Path | None) -> None:
    """End a key at once. KEY is its id, or the part of it that `keys list` shows."""

    async def work(db: Any, _ground: Ground) -> list[str]:
        return await workspaces.revoke_api_key(db, key.removesuffix("…"))

    revoked = _with_database(data_dir or ctx.obj, work)
    if not revoked:
        raise CommandError("No live key has that id or beginning; `bulk-connect keys list` shows them.")
    for prefix in revoked:
        click.echo(f"revoked {prefix}…")


@keys_command.command("rotate-secrets")
@_data_dir_option
@click.pass_context
def rotate_command(ctx: click.Context, data_dir: Path | None) -> None:
    """Wrap every data key under the first of SECRET_KEYS; the others can then be taken away.

    Put the new key first, keep the old one behind it, restart, run this, remove the old one, restart.
    """

    async def work(db: Any, ground: Ground) -> int:
        return await workspaces.rotate_secrets(db, Keyring.from_texts(ground.settings.secret_keys))

    count = _with_database(data_dir or ctx.obj, work)
    click.echo(f"{count} data {'key' if count == 1 else 'keys'} wrapped anew.")


def read_expiry(text: str, now: datetime) -> datetime:
    """Read when a key ends: a span from `now` (12h, 30d, 4w, 6m, 1y), a date, or a time.

    Raises:
        CommandError: it is none of these, or has passed.
    """
    span = _SPAN.fullmatch(text)
    try:
        ends_at = now + timedelta(hours=int(span[1]) * _HOURS[span[2]]) if span else datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise CommandError("--expires must be a date such as 2027-01-31, or a span such as 30d", EXIT_USAGE) from None
    if ends_at.tzinfo is None:
        ends_at = ends_at.replace(tzinfo=UTC)
    if ends_at <= now:
        raise CommandError("--expires lies in the past", EXIT_USAGE)
    return ends_at


def _with_database(data_dir: Path | None, work: Callable[[Any, Ground], Awaitable[T]]) -> T:
    with plain_errors(), standing(read_settings(data_dir=data_dir), may_attach=True) as ground:

        async def run() -> T:
            await migrate(ground.settings.database_url)
            db = await connect(ground.settings.database_url)
            try:
                return await work(db, ground)
            finally:
                await db.close(timeout=5)

        return run_async(run)


def _state(key: workspaces.ApiKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "live"


def _time(moment: datetime | None) -> str | None:
    return render_time(moment) if moment else None
