"""What is written about the project is true of it: settings, codes, commands, queries, locks."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from app.settings import list_documented
from sql import load_queries
from tests.layout.code import ROOT, modules
from tests.layout.tables import TABLES, put_table

README = (ROOT / "README.md").read_text()
LOCKS = sorted((ROOT / ".lock").glob("*.lock"))


@pytest.mark.parametrize("heading", TABLES)
def test_tables_in_the_readme_are_those_of_the_code(heading: str) -> None:
    """When this fails: python -m tests.layout.tables."""
    assert f"## {heading}\n" in README
    assert put_table(README, heading, TABLES[heading]()) == README


def test_the_readme_names_no_setting_that_is_not_there() -> None:
    known = {entry.variable for entry in list_documented()} | {"BULK_CONNECT_URL", "BULK_CONNECT_API_KEY"}
    assert set(re.findall(r"BULK_CONNECT_[A-Z_]+\b", README)) - known == set()


def test_every_command_is_in_the_readme() -> None:
    from app.cli.root import COMMANDS

    assert [name for name in COMMANDS if f"bulk-connect {name}" not in README and f"make {name}" not in README] == []


def test_every_query_is_used_and_every_use_has_its_query() -> None:
    used = {name for module in modules() for name in re.findall(r"""\bbind\(\s*["'](\w+)["']\s*\)""", module.text)}
    used |= {name for module in modules() for name in re.findall(r"""load_queries\(\)\[["'](\w+)["']\]""", module.text)}
    assert used == set(load_queries())


def test_queries_stand_in_the_order_of_the_alphabet() -> None:
    for path in sorted((ROOT / "sql" / "queries").glob("*.sql")):
        names = re.findall(r"^-- name: (\w+)", path.read_text(), flags=re.MULTILINE)
        assert names == sorted(names), path.name


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_locks_name_no_host_and_pin_by_hash(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    pins = re.findall(r"^[a-z0-9._-]+==\S+", text, flags=re.MULTILINE)
    assert pins
    assert text.count("--hash=sha256:") >= len(pins)
    assert not re.search(r"^-(i|f|-index|-extra|-find|-trusted)", text, flags=re.MULTILINE)


def test_the_lock_of_the_bucket_names_no_host_and_pins_by_hash() -> None:
    text = (ROOT / ".lock" / "bucket" / "package-lock.json").read_text()
    assert "://" not in text
    packages = [about for place, about in json.loads(text)["packages"].items() if place]
    assert packages
    assert [about for about in packages if not about["integrity"].startswith("sha512-")] == []


def test_the_locks_hold_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = {
        "runtime.lock": project["dependencies"],
        "setup.lock": [*project["dependencies"], *extras["embedded"], *extras["build"]],
        "dev.lock": [*project["dependencies"], *extras["embedded"], *extras["build"], *extras["dev"]],
    }
    for name, asked in wanted.items():
        text = (ROOT / ".lock" / name).read_text()
        pinned = set(re.findall(r"^([a-z0-9._-]+)==", text, flags=re.MULTILINE))
        names = {re.split(r"[\[=><;~! ]", line)[0].lower() for line in asked}
        assert names - pinned == set(), name


def test_nothing_can_be_uploaded_by_accident() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "Private :: Do Not Upload" in project["classifiers"]
    assert project["license"] == "GPL-3.0-or-later"


def test_make_lists_its_targets() -> None:
    makefile = (ROOT / "Makefile").read_text()
    listed = set(re.findall(r"^([a-z-]+):.*## ", makefile, flags=re.MULTILINE))
    assert {"setup", "demo", "test", "check", "fmt", "lint", "types", "arch"} <= listed
    phony = set(re.findall(r"^\.PHONY: ([a-z-]+)$", makefile, flags=re.MULTILINE))
    assert listed == phony
