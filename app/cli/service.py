"""I/O: the commands that run the service: up, api, worker, migrate, settings."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from app import log, supervise
from app.cli.plain import plain_errors
from app.cli.root import environ, read_settings, run_async
from app.ground import Ground, attach_ground, check_settings, standing
from app.settings import Settings, SettingsError, list_documented, variable_name

FOLDER: Final = click.Path(file_okay=False, path_type=Path)


@click.command("up")
@click.option("--host", help="address to listen on; 127.0.0.1 unless set")
@click.option("--port", type=click.IntRange(0, 65535), help="port to listen on; 8080 unless set, 0: any free one")
@click.option("--workers", type=click.IntRange(0, 256), help="worker processes; 0 or not given: one for each core")
@click.option("--data-dir", type=FOLDER, help="folder of the data; .data unless set")
def up_command(host: str | None, port: int | None, workers: int | None, data_dir: Path | None) -> None:
    """Run everything: API, workers and, where no addresses are set, PostgreSQL and Valkey.

    Stops on Ctrl-C or SIGTERM within 20 seconds; nothing is lost.
    """
    settings = read_settings(host=host, port=port, workers=workers, data_dir=data_dir)
    if settings.port == 0:
        with plain_errors():
            settings = replace(settings, port=supervise.pick_port(settings.host))
    log.set_up(settings.log_format, settings.log_level, process="up")
    while True:
        with plain_errors(), standing(settings) as ground:
            try:
                run_async(lambda: _up(ground))
            except supervise.ServerDied as died:
                click.echo(f"{died} ended by itself; starting everything anew.", err=True)
                continue
        return


async def _up(ground: Ground) -> None:
    from app.store.db import connect
    from app.store.migrate import migrate
    from app.store.workspaces import list_api_keys

    settings = ground.settings
    await migrate(settings.database_url)
    link = await connect(settings.database_url)
    has_keys = bool(await list_api_keys(link))
    await link.close()
    supervise.pick_port(settings.host, settings.port)  # else whoever has it would be taken for our own API
    workers = settings.workers or count_cores()
    died = ground.servers.revive if ground.servers is not None else lambda: ""
    service = supervise.make_service(settings, ground.environ(environ()), workers, died)

    def greet() -> None:
        shown = settings.public_url or service.base_url
        where = f"data in {settings.data_dir}" if ground.servers is not None else "data in DATABASE_URL"
        plural = "worker" if workers == 1 else "workers"
        click.echo(f"bulk-connect listens on {shown} ({workers} {plural}, {where}). Ctrl-C stops it.")
        if not has_keys:
            folder = "" if settings.data_dir == Path(".data").absolute() else f" --data-dir {settings.data_dir}"
            click.echo(f"No API key yet. In another terminal: bulk-connect keys create --workspace NAME{folder}")

    with supervise.stopping() as stop:
        await service.run(stop, greet)


@click.command("api")
@click.option("--host", help="address to listen on")
@click.option("--port", type=click.IntRange(0, 65535), help="port to listen on")
def api_command(host: str | None, port: int | None) -> None:
    """Run one API process against DATABASE_URL and REDIS_URL."""
    settings = attach_ground(read_settings(host=host, port=port))
    log.set_up(settings.log_format, settings.log_level, process="api")
    from app.api.main import serve
    from app.reports import ReportStoreError

    with plain_errors(ReportStoreError):
        run_async(lambda: serve(settings), fast=True)


@click.command("worker")
def worker_command() -> None:
    """Run one worker process against DATABASE_URL and REDIS_URL."""
    settings = attach_ground(read_settings())
    log.set_up(settings.log_format, settings.log_level, process="worker")
    from app.reports import ReportStoreError
    from jobs.worker import run_worker

    with plain_errors(ReportStoreError):
        run_async(lambda: run_worker(settings), fast=True)


@click.command("migrate")
def migrate_command() -> None:
    """Bring the schema up to date. Safe to run by several at once."""
    from app.store.migrate import migrate

    settings = read_settings()
    if not settings.database_url:
        raise SettingsError(["DATABASE_URL must be set; `bulk-connect up` migrates servers of its own"])
    with plain_errors():
        applied = run_async(lambda: migrate(settings.database_url))
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("The schema is up to date.")


@click.command("settings")
@click.option("--json", "as_json", is_flag=True, help="as JSON, for scripts")
def settings_command(as_json: bool) -> None:
    """List every setting with its value; secrets are starred. Wrong ones are named, and the exit code is 2."""
    settings = read_settings()
    check_settings(settings)
    lines = []
    for entry in list_documented():
        value = _shown(settings, entry.variable)
        lines.append({"variable": entry.variable, "value": value, "default": entry.default, "about": entry.about})
    if as_json:
        click.echo(json.dumps(lines, indent=2))
        return
    from rich.table import Table

    from app.cli.screen import console

    table = Table("variable", "value", "what it is", box=None, pad_edge=False)
    for line in lines:
        table.add_row(line["variable"], line["value"], line["about"])
    console().print(table)


def _shown(settings: Settings, variable: str) -> str:
    from dataclasses import fields

    from app.settings import render_value

    entry = next(entry for entry in fields(Settings) if variable_name(entry.name) == variable)
    value = getattr(settings, entry.name)
    if entry.metadata["secret"]:
        return "***" if value else ""
    return render_value(value)


def count_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
