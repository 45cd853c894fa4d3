"""I/O: `demo`: the whole service on this machine, against mail servers of its own, from the file to the report."""

import asyncio
import signal
import tempfile
from pathlib import Path
from typing import Final

import click

from app import supervise
from app.cli import screen
from app.cli.files import read_rows
from app.cli.plain import plain_errors
from app.cli.root import CommandError, environ, run_async
from app.client import Client, ClientError, ConnectOptions
from app.demo.houses import HOUSES, Town
from app.demo.mailboxes import list_mailboxes, render_csv
from app.demo.servers import open_town
from app.ground import Ground, standing
from app.model import Scope
from app.seal import Keyring
from app.settings import PREFIX, UNPREFIXED, Settings
from app.store import workspaces
from app.store.db import connect
from app.store.migrate import migrate

WORKERS: Final = 2

_LIMITS: Final = {
    # A host that says nothing shall not keep the audience waiting.
    "CONNECT_TIMEOUT": "3",
    "TLS_TIMEOUT": "3",
    "GREET_TIMEOUT": "3",
    "RETRY_BUDGET": "10",
    "METRICS_ADDRESS": "127.0.0.1:0",
    "LOG_FORMAT": "json",
    "ALLOW_NETWORKS": "127.0.0.0/8",
}


@click.command("demo")
@click.option(
    "--report",
    default="demo-report.csv",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="where the report goes",
)
def demo_command(report: Path) -> None:
    """Show the whole thing: start everything, connect a demo file of mailboxes, print the outcome, stop.

    Nothing leaves this machine, and nothing but the report is left behind.
    """
    with tempfile.TemporaryDirectory(prefix="bulk-connect-demo-") as name, plain_errors():
        folder = Path(name)
        settings = Settings(host="127.0.0.1", port=supervise.pick_port("127.0.0.1"), data_dir=folder / "data")
        click.echo("Starting PostgreSQL and Valkey …")
        with standing(settings) as ground:
            status = run_async(lambda: _demo(ground, folder, report))
    page = screen.console()
    page.print()
    page.print(screen.outcome_table(screen.read_report(report.read_bytes())))
    page.print(f"\n{screen.summary(status['counts'])}")
    click.echo(f"The report is in {report.absolute()}; everything is stopped.")
    click.echo("With mailboxes of your own: bulk-connect up, and then bulk-connect connect FILE --wait")


async def _demo(ground: Ground, folder: Path, report: Path) -> screen.Json:
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    key = await _make_key(ground)
    async with open_town(folder) as town:
        file = folder / "mailboxes.csv"
        file.write_text(render_csv(list_mailboxes(town)))
        names = ", ".join(dict.fromkeys(house.smtp_host for house in HOUSES))
        click.echo(f"Mail servers that answer as named ones do: {names}, …")
        words = folder / "service.log"
        with words.open("wb") as output:
            service = supervise.make_service(ground.settings, _environ(ground, town), WORKERS)
            service.output = output
            stop, ready = asyncio.Event(), asyncio.Event()
            running = asyncio.create_task(service.run(stop, ready.set))
            try:
                await _first(running, ready)
                click.echo(f"The service listens on {service.base_url}, with {WORKERS} workers.")
                return await _import(service.base_url, key, file, report)
            except (supervise.StartError, ClientError) as error:
                tail = words.read_text(errors="replace")[-2000:]
                raise CommandError(f"{error}\n{tail}".rstrip()) from None
            finally:
                stop.set()
                await asyncio.wait({running})


async def _import(base_url: str, key: str, file: Path, report: Path) -> screen.Json:
    """Do what `bulk-connect connect FILE --report …` does."""
    rows = read_rows(file)
    async with Client(base_url, key) as client:
        accepted = await client.connect(rows, ConnectOptions(name="demo"), "demo")
        request_id = str(accepted["requestId"])
        click.echo(f"{len(rows)} mailboxes sent; answered at once: request {request_id}\n")
        status: screen.Json = {}
        with screen.progress_bar(is_quiet=False) as bar:
            async for status in client.watch(request_id, 0.1):
                bar.show(status)
        await client.save_report(request_id, report)
    return status


async def _first(running: asyncio.Task[None], ready: asyncio.Event) -> None:
    """Wait until the service is ready.

    Raises:
        StartError: it died instead.
    """
    waiter = asyncio.create_task(ready.wait())
    await asyncio.wait({running, waiter}, return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()
    if running.done():
        running.result()


async def _make_key(ground: Ground) -> str:
    url = ground.settings.database_url
    await migrate(url)
    db = await connect(url)
    try:
        owner = await workspaces.insert_workspace(db, "demo", Keyring.from_texts(ground.settings.secret_keys))
        key, _ = await workspaces.insert_api_key(db, owner.id, (Scope.CONNECT, Scope.READ))
    finally:
        await db.close()
    return key


def _environ(ground: Ground, town: Town) -> dict[str, str]:
    """Return the processes' environment: the demonstration's settings, none of the user's."""
    clean = {name: value for name, value in environ().items() if not _is_setting(name)}
    given = {
        **_LIMITS,
        "ALLOW_PORTS": ",".join(map(str, sorted(town.all_ports()))),
        "DNS_SERVERS": town.name_server,
        "CA_FILE": str(town.ca_file),
    }
    return {**ground.environ(clean), **{PREFIX + name: value for name, value in given.items()}}


def _is_setting(name: str) -> bool:
    return name.startswith(PREFIX) or name in UNPREFIXED
