"""I/O: `explain`: what a pasted reply of a mail server means. No network, no service."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from app.cli.root import EXIT_USAGE, CommandError
from app.codes import FACTS
from app.diagnose.diagnose import Diagnosis, explain
from app.diagnose.reply import STAGE_WORDS, guess_protocol
from app.model import Protocol
from app.report.advice import render_remedy
from app.verdict import describe

Json = dict[str, Any]

FILE_IN: Final = click.Path(allow_dash=True, dir_okay=False, path_type=Path)


@click.command("explain")
@click.argument("reply", required=False)
@click.option("--file", type=FILE_IN, help="many replies: JSON lines")
@click.option("--protocol", type=click.Choice(["smtp", "imap"]), help="unless given, guessed from the reply")
@click.option("--stage", type=click.Choice(list(STAGE_WORDS)), help="where in the check it was said")
@click.option("--provider", default="", help="who said it, such as gmail")
@click.option("--host", default="", help="the server's name")
@click.option("--json", "as_json", is_flag=True, help="as JSON, for scripts")
def explain_command(
    reply: str | None,
    file: Path | None,
    protocol: str | None,
    stage: str | None,
    provider: str,
    host: str,
    as_json: bool,
) -> None:
    """Say what REPLY means and what to do, such as: explain "535 5.7.139 …". `-` reads it from standard input.

    --file takes lines {"id", "protocol", "stage", "provider"?, "host"?, "raw"} and gives {"id", "code", "retryable",
    "fault", "remedy", "rule"} for each, in order.
    """
    if (reply is None) == (file is None):
        raise CommandError("Give one reply, or --file with many.", EXIT_USAGE)
    if file is not None:
        for line in _read_lines(file):
            sys.stdout.write(msgspec.json.encode(_explain_line(line)).decode() + "\n")
        return
    raw = sys.stdin.read() if reply == "-" else reply or ""
    if not raw.strip():
        raise CommandError('The reply is empty: paste what the server said, such as "535 5.7.8 …".', EXIT_USAGE)
    found = _explain_line({"raw": raw, "protocol": protocol, "stage": stage, "provider": provider, "host": host})
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    facts = FACTS[found["code"]]
    click.echo(f"{found['code']}: {facts.title}. {facts.meaning}")
    click.echo(found["remedy"])
    again = "may pass by itself" if facts.is_retryable else "does not pass by itself"
    who = f"the {facts.fault.value} must act" if facts.fault.value else "nobody needs to act"
    click.echo(f"({who}; {again}; rule {found['rule']})")


def _explain_line(line: Json) -> Json:
    protocol = Protocol(line["protocol"].lower()) if line.get("protocol") else None
    stage = STAGE_WORDS.get(str(line.get("stage") or "").lower())
    provider, host, raw = (str(line.get(name) or "") for name in ("provider", "host", "raw"))
    found = explain(raw, protocol=protocol, stage=stage, provider=provider, host=host)
    return {
        **({"id": line["id"]} if "id" in line else {}),
        "code": found.code,
        "retryable": found.is_retryable,
        "fault": found.fault.value or None,
        "remedy": _remedy(found, protocol or guess_protocol(raw), provider, host),
        "rule": found.rule,
    }


def _remedy(found: Diagnosis, protocol: Protocol, provider: str, host: str) -> str:
    return render_remedy(found.code, describe(protocol, provider, host=host))


def _read_lines(path: Path) -> Iterator[Json]:
    try:
        body = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", EXIT_USAGE) from None
    for number, text in enumerate(body.splitlines(), 1):
        if not text.strip():
            continue
        try:
            line = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise CommandError(f"{path}, line {number}: not JSON", EXIT_USAGE) from None
        if not isinstance(line, dict) or not isinstance(line.get("raw"), str):
            raise CommandError(f'{path}, line {number}: not an object with "raw"', EXIT_USAGE)
        if str(line.get("protocol") or "").lower() not in {"", "smtp", "imap"}:
            raise CommandError(f"{path}, line {number}: protocol must be smtp or imap", EXIT_USAGE)
        yield line
