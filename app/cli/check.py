"""I/O: `check`: a file, or one mailbox, checked here and now, with no service."""

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import click

from app import log
from app.checked import SideResult
from app.cli import screen
from app.cli.direct import DirectRow, check_rows, count, open_rows, render_report
from app.cli.files import read_rows
from app.cli.root import EXIT_USAGE, CommandError, read_settings, run_async
from app.ground import check_settings
from app.model import Encryption, Stage
from app.report.payload import render_row

Json = dict[str, Any]

FILE_IN: Final = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
FILE_OUT: Final = click.Path(dir_okay=False, path_type=Path)
RETRY_SECONDS: Final = 60.0
_MODES: Final = click.Choice([mode.value for mode in Encryption])


def _side_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for side in ("imap", "smtp"):
        word = side.upper()
        for option in (
            click.option(f"--{side}-encryption", type=_MODES, help=f"of the {word} server"),
            click.option(f"--{side}-port", type=click.IntRange(1, 65535), help=f"of the {word} server"),
            click.option(f"--{side}-host", help=f"the {word} server; found from the address unless given"),
            click.option(f"--no-{side}", is_flag=True, help=f"leave {word} out"),
        ):
            command = option(command)
    return command


@click.command("check")
@click.argument("file", type=FILE_IN, required=False)
@click.option("--email", help="check this one mailbox; its password is asked for")
@click.option(
    "--password",
    envvar="BULK_CONNECT_PASSWORD",
    show_envvar=True,
    help="its password; given here, others on this machine can see it",
)
@click.option("--token", is_flag=True, help="the password is an OAuth 2 access token")
@click.option("--username", help="its user name, where that is not the address")
@click.option("--provider", help="who runs it, such as gmail")
@_side_options
@click.option("--report", type=FILE_OUT, help="save the CSV report there")
@click.option("--concurrency", type=click.IntRange(1, 10_000), help="checks at a time; CHECK_CONCURRENCY unless given")
@click.option(
    "--retry",
    "retry_seconds",
    type=click.FloatRange(0, 86_400),
    default=RETRY_SECONDS,
    show_default=True,
    help="seconds within which what may pass by itself is tried again",
)
@click.option(
    "--auto-correct/--no-auto-correct", default=True, show_default=True, help="mend wrong TLS modes and ports"
)
@click.option("--json", "as_json", is_flag=True, help="as JSON, for scripts")
def check_command(
    file: Path | None,
    email: str | None,
    password: str | None,
    token: bool,
    username: str | None,
    provider: str | None,
    report: Path | None,
    concurrency: int | None,
    retry_seconds: float,
    auto_correct: bool,
    as_json: bool,
    **sides: Any,
) -> int:
    """Check the mailboxes of FILE, or the one of --email, with no service. Nothing is kept.

    Exit code 0: all connected; 1: some did not; 2: the file or the call is wrong.
    """
    if (file is None) == (email is None):
        raise CommandError("Give a file, or --email with one mailbox.", EXIT_USAGE)
    settings = read_settings(check_concurrency=concurrency)
    check_settings(settings)
    log.set_up(settings.log_format, "ERROR")
    logging.captureWarnings(True)
    if email is not None:
        secret = password or click.prompt(f"Password of {email}", hide_input=True, err=True)
        records = [_one_record(email, secret, token, username, provider, sides)]
    else:
        assert file is not None
        records = read_rows(file)
    rows = open_rows(records)
    with screen.progress_bar(is_quiet=as_json or len(rows) == 1) as bar:
        run_async(
            lambda: check_rows(
                rows,
                settings,
                concurrency=settings.check_concurrency,
                retry_seconds=retry_seconds,
                auto_correct=auto_correct,
                on_change=lambda: bar.show({"counts": count(rows)}),
            ),
            fast=True,
        )
    text = render_report(rows)
    if report is not None:
        report.write_text(text, newline="")
    _show(rows, text, is_single=email is not None, as_json=as_json)
    if report is not None and not as_json:
        click.echo(f"The report is in {report}")
    return screen.exit_code(count(rows))


def _one_record(
    email: str, secret: str, is_token: bool, username: str | None, provider: str | None, sides: dict[str, Any]
) -> Json:
    record: Json = {"smtpEmailAddress": email, "accessToken" if is_token else "smtpPassword": secret}
    if provider:
        record["emailServiceProvider"] = provider
    for side in ("smtp", "imap"):
        if username:
            record[f"{side}UserName"] = username
        if sides[f"no_{side}"]:
            record[side] = False
        for name in ("host", "port", "encryption"):
            if sides[f"{side}_{name}"] is not None:
                record[f"{side}{name.capitalize()}"] = sides[f"{side}_{name}"]
    return record


def _show(rows: Sequence[DirectRow], text: str, *, is_single: bool, as_json: bool) -> None:
    if as_json:
        found = [render_row(row) for row in rows]
        click.echo(json.dumps(found[0] if is_single else {"counts": count(rows), "rows": found}, indent=2, default=str))
        return
    page = screen.console()
    if is_single:
        row = rows[0]
        for error in row.given.errors:
            click.echo(error.message)
        for side in (row.smtp, row.imap):
            if side is not None:
                click.echo(_describe(side))
        return
    lines = screen.read_report(text.encode())
    if len(lines) > screen.MOST_ROWS:
        lines = [line for line in lines if line["outcome"] != "connected"]
    if len(lines) <= screen.MOST_ROWS:
        page.print(screen.outcome_table(lines))
    page.print(f"\n{screen.summary(count(rows))}")


_BEFORE_ANY_REPLY: Final = frozenset({Stage.RESOLVE, Stage.CONNECT, Stage.TLS})


def _describe(side: SideResult) -> str:
    where = f"{side.host}:{side.port} {side.encryption or ''}".strip()
    took = sum(side.timings.values())
    lines = [f"{side.protocol.upper()}  {side.code}  ({where}, {took} ms)"]
    lines += [f"      {entry.field}: {entry.given} -> {entry.used}: {entry.reason}" for entry in side.corrections]
    speaker = "" if side.stage in _BEFORE_ANY_REPLY else "the server said: "
    lines += [f"      {text}" for text in (side.remedy, f"{speaker}{side.reply}" if side.reply else "") if text]
    return "\n".join(lines)
