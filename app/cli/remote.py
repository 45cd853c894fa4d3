"""I/O: the commands that are clients of a running service: connect, status, report."""

import json
import sys
import uuid
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from app.cli import screen
from app.cli.files import read_rows
from app.cli.root import EXIT_FAILED, EXIT_USAGE, CommandError, run_async
from app.client import Client, ClientError, ConnectOptions
from app.model import OnExisting, Outcome, Save

T = TypeVar("T")
Json = dict[str, Any]

FILE_OUT: Final = click.Path(dir_okay=False, path_type=Path)


def service_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --url, --key and --json."""
    options = (
        click.option(
            "--url", envvar="BULK_CONNECT_URL", default="http://127.0.0.1:8080", show_envvar=True, help="the service"
        ),
        click.option(
            "--key", envvar="BULK_CONNECT_API_KEY", default="", help="an API key  [env var: BULK_CONNECT_API_KEY]"
        ),
        click.option("--json", "as_json", is_flag=True, help="as JSON, for scripts"),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command("connect")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--wait", is_flag=True, help="until every row has its outcome, with a progress bar and a table")
@click.option("--report", type=FILE_OUT, help="save the CSV report there; implies --wait")
@click.option("--name", default="", help="a label for the request")
@click.option("--save", type=click.Choice([save.value for save in Save]), help="which accounts are kept")
@click.option(
    "--on-existing", type=click.Choice([one.value for one in OnExisting]), help="accounts that are there already"
)
@click.option("--auto-correct/--no-auto-correct", default=None, help="whether wrong TLS modes and ports are mended")
@click.option("--strict", is_flag=True, help="refuse the whole file where one row is invalid")
@service_options
def connect_command(
    file: Path,
    wait: bool,
    report: Path | None,
    name: str,
    save: str | None,
    on_existing: str | None,
    auto_correct: bool | None,
    strict: bool,
    url: str,
    key: str,
    as_json: bool,
) -> int:
    """Connect the mailboxes of FILE: CSV, a JSON array, or JSON lines; `-` is standard input.

    Exit code 0: all connected, or, without --wait, accepted; 1: some did not connect, or not one row could be
    accepted; 2: the file or the call is wrong; 3: the service is away.
    """
    rows = read_rows(file)
    options = ConnectOptions(
        name or (file.name if str(file) != "-" else ""), save or "", on_existing or "", auto_correct, strict
    )

    async def work(client: Client) -> int:
        accepted = await client.connect(rows, options, uuid.uuid4().hex)
        if not (wait or report):
            return tell_accepted(accepted, as_json)
        return await follow(client, str(accepted["requestId"]), report, as_json=as_json)

    return call(url, key, work)


@click.command("status")
@click.argument("request_id", metavar="ID")
@click.option("--wait", is_flag=True, help="until every row has its outcome")
@service_options
def status_command(request_id: str, wait: bool, url: str, key: str, as_json: bool) -> int:
    """Show where the request ID is, and why rows failed."""

    async def work(client: Client) -> int:
        if wait:
            return await follow(client, request_id, None, as_json=as_json)
        status = await client.status(request_id)
        if as_json:
            print_json(status)
        else:
            click.echo(f"{status.get('status')}, {status.get('progress', 0)} %. {screen.summary(status['counts'])}")
            if status.get("errorSummary"):
                screen.console().print(screen.cause_table(status))
        return screen.exit_code(status["counts"]) if status.get("isCompleted") else 0

    return call(url, key, work)


@click.command("report")
@click.argument("request_id", metavar="ID")
@click.option("--out", type=FILE_OUT, help="save it there; otherwise it is printed")
@click.option(
    "--outcome",
    type=click.Choice([outcome.value for outcome in Outcome]),
    help="only rows that ended so",
)
@click.option("--bom", is_flag=True, help="begin with a byte order mark, by which Excel reads letters such as ü aright")
@service_options
def report_command(
    request_id: str, out: Path | None, outcome: str | None, bom: bool, url: str, key: str, as_json: bool
) -> int:
    """Fetch the CSV report of the request ID: at any time, what is known so far."""

    async def work(client: Client) -> int:
        text = await client.save_report(request_id, out, outcome or "", has_mark=bom)
        if as_json:
            print_json({"report": str(out)} if out else {"rows": screen.read_report(text)})
        elif out:
            click.echo(f"The report is in {out}")
        else:
            sys.stdout.buffer.write(text)
            sys.stdout.buffer.flush()
        return 0

    return call(url, key, work)


async def follow(client: Client, request_id: str, report: Path | None, *, as_json: bool) -> int:
    """Watch a request until it is done, show how it ended, save its report. Returns the exit code."""
    status: Json = {}
    with screen.progress_bar(is_quiet=as_json) as bar:
        async for status in client.watch(request_id):
            bar.show(status)
    counts = status["counts"]
    if as_json:
        if report:
            await client.save_report(request_id, report)
        print_json({**status, **({"reportFile": str(report)} if report else {})})
        return screen.exit_code(counts)
    await show_outcomes(client, status)
    if report:
        await client.save_report(request_id, report)
        click.echo(f"The report is in {report}")
    return screen.exit_code(counts)


async def show_outcomes(client: Client, status: Json) -> None:
    """Print the outcomes of a request that is done: row by row where they are few, else by cause."""
    page = screen.console()
    counts = status["counts"]
    if counts["total"] <= screen.MOST_ROWS:
        text = await client.save_report(str(status["requestId"]), None)
        page.print(screen.outcome_table(screen.read_report(text)))
    elif status.get("errorSummary"):
        page.print(screen.cause_table(status))
    page.print(f"\n{screen.summary(counts)}")


def call(url: str, key: str, work: Callable[[Client], Awaitable[T]]) -> T:
    """Run `work` with a client; its errors become one line.

    Raises:
        CommandError: whatever it was.
    """

    async def run() -> T:
        async with Client(url, key) as client:
            return await work(client)

    if not key:
        raise CommandError(
            "Set BULK_CONNECT_API_KEY to an API key; make one: bulk-connect keys create --workspace NAME", EXIT_USAGE
        )
    try:
        return run_async(run)
    except ClientError as error:
        raise CommandError(str(error), error.exit_code) from None


def tell_accepted(accepted: Json, as_json: bool) -> int:
    """Print what was answered at once. Returns the exit code: 1 where not one row is left to check."""
    code = 0 if accepted.get("accepted") else EXIT_FAILED
    if as_json:
        print_json(accepted)
        return code
    request_id = accepted.get("requestId")
    click.echo(f"Request {request_id}: {accepted.get('accepted')} of {accepted.get('total')} rows accepted.")
    for entry in _first(accepted.get("rejections")):
        field, message = str(entry.get("field") or ""), str(entry.get("message"))
        where = f", {field}" if field and not message.startswith(field) else ""
        click.echo(f"  row {entry.get('row')}{where}: {message}")
    if accepted.get("ignoredColumns"):
        click.echo(f"  columns carried along, not understood: {', '.join(accepted['ignoredColumns'])}")
    click.echo(f"Follow it: bulk-connect status {request_id} --wait")
    return code


def _first(entries: Sequence[Json] | None) -> Sequence[Json]:
    return (entries or [])[:10]


def print_json(value: object) -> None:
    """Print for scripts."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
