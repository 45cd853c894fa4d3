"""The files in .deploy/ say what the code understands: commands, settings, folders, times, connections."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from app.cli.root import COMMANDS
from app.seal import new_key_text
from app.settings import Settings, list_documented
from tests.layout.code import PACKAGES, ROOT

DEPLOY = ROOT / ".deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
STOP_SECONDS = 20


def read(name: str) -> str:
    return (DEPLOY / name).read_text()


def test_the_example_of_the_environment_is_taken_once_a_key_is_in_it() -> None:
    lines = re.findall(r"^#?([A-Z_]+)=(.*)$", read("environment.example"), flags=re.MULTILINE)
    environ = {name: value for name, value in lines if not name.startswith("AWS_")}
    environ["BULK_CONNECT_SECRET_KEYS"] = new_key_text()
    settings = Settings.from_env(environ)
    assert settings.database_url.startswith("postgresql://")
    assert settings.report_store.startswith("file:///var/lib/bulk-connect/")


@pytest.mark.parametrize("path", sorted(DEPLOY.iterdir()), ids=lambda path: path.name)
def test_every_setting_named_is_one(path: Path) -> None:
    known = {entry.variable for entry in list_documented()}
    assert set(re.findall(r"BULK_CONNECT_[A-Z_]+", path.read_text())) - known == set()


def test_every_command_run_is_one() -> None:
    run = [word for path in UNITS for word in re.findall(r"bin/bulk-connect (\w+)", path.read_text())]
    run += re.findall(r"^    command: \[\"(\w+)\"\]$", read("compose.yaml"), flags=re.MULTILINE)
    run += re.findall(r"python -m app (\w+)", read("README.md"))
    assert sorted(run) == sorted(["migrate", "api", "worker"] * 2 + ["keys"])
    assert set(run) - set(COMMANDS) == set()


def test_nobody_is_killed_before_its_time_is_up() -> None:
    times = [seconds for path in UNITS for seconds in re.findall(r"TimeoutStopSec=(\d+)", path.read_text())]
    times += re.findall(r"stop_grace_period: (\d+)s", read("compose.yaml"))
    assert len(times) == len(UNITS) + 1
    assert min(map(int, times)) > STOP_SECONDS


def test_the_image_holds_every_package_and_the_runtime_lock() -> None:
    words = read("Containerfile")
    assert all(f"COPY {package} {package}\n" in words for package in PACKAGES)
    assert "COPY .lock/runtime.lock .lock/runtime.lock\n" in words
    assert 'ENTRYPOINT ["python", "-m", "app"]' in words


def test_workers_of_one_machine_have_a_metrics_port_each() -> None:
    default = Settings().metrics_address.rpartition(":")[2]
    assert f"METRICS_ADDRESS=127.0.0.1:$$(({default} + %i))" in read("bulk-connect-worker@.service")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    for path in UNITS:
        words = path.read_text().replace("/opt/bulk-connect/.venv/bin/bulk-connect", "/bin/true")
        (tmp_path / path.name.replace("@", "@1")).write_text(words)
    units = [str(path) for path in sorted(tmp_path.iterdir())]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "bulk-connect" in line]) == (0, [])


def test_the_readme_counts_the_connections_that_the_code_opens() -> None:
    pool = re.search(r"def open_pool\(url: str, \*, most: int = (\d+)[,)]", (ROOT / "app/store/db.py").read_text())
    assert pool is not None
    api, worker = ((ROOT / place).read_text() for place in ("app/api/main.py", "jobs/worker.py"))
    assert api.count("open_pool(") == api.count("open_pool(settings.database_url)") == 1
    assert worker.count("open_pool(settings.database_url, keeps_plans=True)") == 1
    assert worker.count("open_pool(settings.database_url, most=1)") == 1
    assert worker.count("open_pool(") == 2
    size = int(pool.group(1))
    assert f"{size} for each API, {size + 1} for each worker" in (ROOT / "README.md").read_text()
