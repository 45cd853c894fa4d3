"""What every command keeps: exit codes, one clear line, settings refused by name."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.root import COMMANDS
from app.settings import list_documented
from tests.cli.conftest import Command

ROOT = Path(__file__).parents[2]


def test_help_lists_every_command(command: Command) -> None:
    ended = command("--help")
    assert ended.code == 0
    for name in COMMANDS:
        assert f"  {name} " in ended.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(command: Command, name: str) -> None:
    ended = command(name, "--help")
    assert ended.code == 0
    assert "Usage: bulk-connect" in ended.out


def test_version(command: Command) -> None:
    assert command("--version").out == "bulk-connect 0.1.0\n"


@pytest.mark.parametrize(
    "arguments", [["nothing"], ["connect"], ["up", "--port", "70000"], ["report", "x", "--outcome", "y"]]
)
def test_wrong_usage_ends_with_2(command: Command, arguments: list[str]) -> None:
    ended = command(*arguments)
    assert ended.code == 2
    assert "Usage: bulk-connect" in ended.err


def test_settings_lists_all_of_them(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULK_CONNECT_PORT", "9999")
    ended = command("settings", "--json")
    assert ended.code == 0
    shown = {line["variable"]: line for line in json.loads(ended.out)}
    assert list(shown) == [entry.variable for entry in list_documented()]
    assert shown["BULK_CONNECT_PORT"]["value"] == "9999"
    assert shown["BULK_CONNECT_PORT"]["default"] == "8080"
    assert "BULK_CONNECT_PORT" in command("settings").out


def test_settings_keeps_secrets_to_itself(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:hunter2@localhost/x")
    monkeypatch.setenv("BULK_CONNECT_SECRET_KEYS", key)
    ended = command("settings")
    assert ended.code == 0
    assert "hunter2" not in ended.out
    assert key not in ended.out
    assert "***" in ended.out


def test_wrong_settings_are_refused_by_name_all_at_once(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULK_CONNECT_PORT", "many")
    monkeypatch.setenv("BULK_CONNECT_REPORT_STROE", "file:///tmp")
    monkeypatch.setenv("BULK_CONNECT_SECRET_KEYS", "short")
    for name in ("settings", "up", "worker"):
        ended = command(name)
        assert ended.code == 2
        assert "BULK_CONNECT_PORT must be a whole number" in ended.err
        assert "BULK_CONNECT_REPORT_STROE is not a setting" in ended.err


def test_a_database_without_secret_keys_is_refused(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost/x")
    monkeypatch.setenv("REDIS_URL", "redis://localhost")
    for name in ("up", "api", "worker", "settings"):
        ended = command(name)
        assert ended.code == 2
        assert "BULK_CONNECT_SECRET_KEYS is required" in ended.err


@pytest.mark.parametrize("name", ["api", "worker", "migrate"])
def test_parts_need_to_be_told_where_the_servers_are(command: Command, name: str) -> None:
    ended = command(name)
    assert ended.code == 2
    assert "DATABASE_URL" in ended.err
    assert ended.err.count("\n") == 1


def test_a_database_that_is_away_is_3(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://x@/x?host={tmp_path}")
    monkeypatch.setenv("REDIS_URL", "redis://localhost")
    monkeypatch.setenv("BULK_CONNECT_SECRET_KEYS", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
    ended = command("keys", "list")
    assert ended.code == 3
    assert ended.err == "bulk-connect: PostgreSQL cannot be reached. Is DATABASE_URL right, and does the server run?\n"


@pytest.mark.parametrize("name", ["api", "worker"])
def test_a_report_store_that_cannot_be_is_told_in_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environ = {
        "DATABASE_URL": f"postgresql://x@/x?host={tmp_path}",
        "REDIS_URL": f"unix://{tmp_path}/none",
        "BULK_CONNECT_SECRET_KEYS": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        "BULK_CONNECT_REPORT_STORE": f"file://{tmp_path}/file/reports",
    }
    done = subprocess.run(
        [sys.executable, "-m", "app", name], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    store = f"The report store file://{tmp_path}/file/reports cannot be opened: Not a directory"
    assert done.stderr == f"bulk-connect: {store}\n"


def test_python_m_app_is_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "nothing"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "No such command" in done.stderr


def test_a_reader_who_has_seen_enough_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m app settings | head -1", shell=True, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert "variable" in done.stdout


def test_a_defect_is_one_line_and_quotes_nothing() -> None:
    script = (
        "import sys, app.cli.root as root\ndef run(arguments): raise KeyError('hunter2')\nroot.run = run\nroot.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("bulk-connect: this is a defect: KeyError: ***")
    assert done.stderr.count("\n") == 1


def test_up_says_plainly_that_it_cannot_listen(command: Command) -> None:
    ended = command("up", "--host", "192.0.2.1", "--port", "0")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("bulk-connect: Cannot listen on 192.0.2.1")
