"""The plan of the house: who imports whom, what files are called, how long they are, how they introduce themselves."""

import ast
import re
import subprocess
import sys
import tomllib

import pytest

from tests.layout.code import PACKAGES, ROOT, Module, modules, modules_of_tests, of

LONGEST = 400
TOP = {"app", "jobs", "sql", "tests", "pyproject.toml", "README.md", "LICENSE", "Makefile"}

PURE = (
    "app.checked",
    "app.codes",
    "app.diagnose",
    "app.egress",
    "app.gate",
    "app.intake",
    "app.letters",
    "app.load",
    "app.model",
    "app.report",
    "app.seal",
    "app.settings",
    "app.tempo",
    "app.text",
    "app.verdict",
    "app.waitlist",
    "jobs.decide",
    "jobs.looks",
    "jobs.rooms",
)
"""Here, in the Makefile (for coverage) and, as far as they are of `app`, in pyproject.toml (for imports)."""

OWNERS = {
    "aioimaplib": ("app.login",),
    "aiosmtplib": ("app.login",),
    "arq": ("app.enqueue", "jobs"),
    "asyncpg": ("app.store",),
    "click": ("app.cli",),
    "OpenSSL": ("app.login",),
    "cryptography": ("app.seal", "app.login.certificate", "app.login.pin", "app.demo.authority"),
    "dns": ("app.login", "app.demo.names"),
    "obstore": ("app.reports",),
    "prometheus_client": ("app.api", "app.metrics", "jobs"),
    "publicsuffixlist": ("app.intake",),
    "redis": ("app.enqueue", "jobs"),
    "rich": ("app.cli",),
    "ssl": ("app.login", "app.demo", "app.enqueue", "jobs"),
}
"""Who may import a library: one room, but for the demonstration, which plays the other side of it."""


def test_imports_point_down() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_room_stands_in_the_layers() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    placed = {part.strip(" ()") for layer in layers for part in layer.split("|")}
    rooms = {".".join(module.name.split(".")[:2]) for module in modules() if module.name.startswith("app.")}
    assert rooms - placed == set()


@pytest.mark.parametrize("module", [*modules(), *modules_of_tests()], ids=lambda module: module.place)
def test_no_file_is_too_long(module: Module) -> None:
    assert module.line_count <= LONGEST


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.place)
def test_every_module_says_first_whether_it_is_pure(module: Module) -> None:
    if module.place == "app/__init__.py":
        return  # the line itself
    words = ast.get_docstring(module.tree) or ""
    assert words.startswith(("Pure", "I/O")), f"{module.place} begins with {words[:30]!r}"
    if of(module, *PURE):
        assert words.startswith("Pure"), f"{module.place} is in a pure room"


def test_the_pure_rooms_are_the_same_wherever_they_are_listed() -> None:
    say_so = {
        module.name
        for module in modules()
        if module.name.count(".") == 1 and (ast.get_docstring(module.tree) or "").startswith("Pure")
    }
    assert say_so == set(PURE)
    listed = re.search(r"^PURE := (.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert listed is not None
    places = re.sub(r"/\*|\.py", "", listed[1]).split(",")
    assert {place.replace("/", ".") for place in places} == set(PURE)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    pure = next(contract["source_modules"] for contract in contracts if contract["type"] == "forbidden")
    assert set(pure) == {room for room in PURE if room.startswith("app.")}


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.place)
def test_no_module_bears_the_name_of_a_standard_one(module: Module) -> None:
    # `login.trace` has its name from the plan, and `python -m app` from anywhere finds the right one.
    assert module.name.rpartition(".")[2] not in sys.stdlib_module_names - {"__main__", "trace"}


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_has_one_owner(library: str) -> None:
    strangers = [
        module.place
        for module in modules()
        if any(name == library or name.startswith(library + ".") for name in module.imports())
        and not of(module, *OWNERS[library])
    ]
    assert strangers == []


def test_nothing_but_the_plan_is_visible_at_the_top() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    tops = {line.split("/")[0] for line in listed.stdout.splitlines()}
    assert {top for top in tops if not top.startswith(".")} - TOP == set()


def test_the_folders_of_tests_are_called_after_rooms() -> None:
    rooms = {module.name.rpartition(".")[2] for module in modules()} | set(PACKAGES)
    others = {"bench", "chaos", "fakes", "flow", "layout", "real", "replies", "zoo"}
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and not path.name.startswith("__")}
    assert folders - rooms - others == set()


def test_words_that_say_nothing_are_in_no_name() -> None:
    empty = {"util", "utils", "helper", "helpers", "common", "manager", "service_manager", "misc", "base"}
    found = [module.place for module in modules() if set(module.name.split(".")) & empty]
    assert found == []
