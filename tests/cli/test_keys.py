"""API keys made, listed and revoked, on servers of our own, whether another process runs them or not."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.cli.keys import read_expiry
from app.cli.root import CommandError
from app.ground import standing
from app.settings import Settings
from tests.cli.conftest import Command


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder on which servers run, as `up` would run them."""
    folder = tmp_path_factory.mktemp("keys") / "data"
    with standing(Settings(data_dir=folder)):
        yield folder


def test_a_key_is_printed_once_and_alone(command: Command, data_dir: Path) -> None:
    ended = command("keys", "create", "--workspace", "acme", "--data-dir", str(data_dir))
    assert ended.code == 0
    assert ended.out.startswith("bc_live_")
    assert ended.out.count("\n") == 1
    assert ended.out.strip() not in command("keys", "list", "--data-dir", str(data_dir)).out


def test_scopes_name_and_expiry_are_kept(command: Command, data_dir: Path) -> None:
    made = json.loads(
        command(
            "keys",
            "create",
            "--workspace",
            "acme",
            "--scope",
            "email-accounts:read",
            "--scope",
            "admin",
            "--name",
            "cron",
            "--expires",
            "30d",
            "--json",
            "--data-dir",
            str(data_dir),
        ).out
    )
    listed = json.loads(command("keys", "--data-dir", str(data_dir), "list", "--json").out)
    line = next(line for line in listed if line["id"] == made["id"])
    assert made["key"].startswith(line["prefix"])
    assert line["workspace"] == "acme"
    assert line["name"] == "cron"
    assert line["scopes"] == ["admin", "email-accounts:read"]
    assert line["state"] == "live"
    assert line["expiresAt"] == made["expiresAt"]


def test_a_revoked_key_is_shown_as_such_and_revoked_once(command: Command, data_dir: Path) -> None:
    made = json.loads(command("keys", "create", "--workspace", "b", "--json", "--data-dir", str(data_dir)).out)
    assert command("keys", "revoke", made["id"], "--data-dir", str(data_dir)).code == 0
    listed = json.loads(command("keys", "list", "--json", "--data-dir", str(data_dir)).out)
    line = next(line for line in listed if line["id"] == made["id"])
    assert (line["state"], line["expiresAt"]) == ("revoked", None)
    assert line["revokedAt"] >= line["createdAt"]
    again = command("keys", "revoke", made["id"], "--data-dir", str(data_dir))
    assert again.code == 1
    assert "No live key" in again.err
    assert "revoked" in command("keys", "list", "--data-dir", str(data_dir)).out


def test_secrets_are_wrapped_anew(command: Command, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = (data_dir / "secret-keys").read_text().strip()
    command("keys", "create", "--workspace", "rotated", "--data-dir", str(data_dir))
    assert "0 data keys" in command("keys", "rotate-secrets", "--data-dir", str(data_dir)).out
    new = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
    monkeypatch.setenv("BULK_CONNECT_SECRET_KEYS", f"{new},{old}")
    assert "wrapped anew" in command("keys", "rotate-secrets", "--data-dir", str(data_dir)).out
    assert "0 data keys" in command("keys", "rotate-secrets", "--data-dir", str(data_dir)).out
    monkeypatch.setenv("BULK_CONNECT_SECRET_KEYS", f"{old},{new}")
    command("keys", "rotate-secrets", "--data-dir", str(data_dir))


def test_a_key_that_is_gone_is_told_in_one_line(
    command: Command, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("keys", "create", "--workspace", "sealed", "--data-dir", str(data_dir))
    monkeypatch.setenv("BULK_CONNECT_SECRET_KEYS", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
    ended = command("keys", "rotate-secrets", "--data-dir", str(data_dir))
    assert ended.code == 1
    assert ended.err.count("\n") == 1


def test_servers_are_started_where_nobody_runs_them(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    key = command("keys", "create", "--workspace", "acme", "--data-dir", str(folder)).out
    assert key.startswith("bc_live_")
    assert (folder / "secret-keys").stat().st_mode & 0o077 == 0
    listed = json.loads(command("keys", "list", "--json", "--data-dir", str(folder)).out)
    assert [line["workspace"] for line in listed] == ["acme"]


def test_an_empty_workspace_is_refused(command: Command, data_dir: Path) -> None:
    assert command("keys", "create", "--workspace", " ", "--data-dir", str(data_dir)).code == 2


NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12h", NOW + timedelta(hours=12)),
        ("30d", NOW + timedelta(days=30)),
        ("2w", NOW + timedelta(days=14)),
        ("1y", NOW + timedelta(days=365)),
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
        ("2027-01-31T08:00:00+01:00", datetime(2027, 1, 31, 7, tzinfo=UTC)),
    ],
)
def test_an_expiry_is_a_span_a_date_or_a_time(text: str, expected: datetime) -> None:
    assert read_expiry(text, NOW) == expected


@pytest.mark.parametrize("text", ["soon", "30", "2020-01-01", "0d", "99999y", "2027-13-01"])
def test_other_expiries_are_refused(text: str) -> None:
    with pytest.raises(CommandError, match="--expires"):
        read_expiry(text, NOW)
