"""A folder of reports: what is written is on the disk, what was half written by the dead goes, and nothing else."""

import asyncio
import contextlib
import errno
import os
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.report_folder import remove_halves
from app.reports import ReportStore, ReportStoreError, open_report_store
from app.settings import Settings
from tests.real.line import until

PATH = "space/Email-Account_Bulk_Report_x_1.csv"
WRITER = """
import asyncio, sys
from pathlib import Path
from app.reports import open_report_store
from app.settings import Settings

async def blocks():
    while True:
        yield b"row" * 10**6
        await asyncio.sleep(0.01)

asyncio.run(open_report_store(Settings(data_dir=Path(sys.argv[1])), b"key").write(sys.argv[2], blocks()))
"""


@pytest.fixture
def store(tmp_path: Path) -> ReportStore:
    return open_report_store(Settings(data_dir=tmp_path), b"key")


async def lines() -> AsyncIterator[bytes]:
    yield b"row,externalId\r\n"
    yield b"1,x1\r\n"


async def test_what_a_killed_writer_left_goes_once_it_is_old(store: ReportStore, tmp_path: Path) -> None:
    folder = tmp_path / "reports"

    killed = 0

    async def has_begun() -> bool:
        return sum(half.stat().st_size > 0 for half in folder.glob("space/*#*")) > killed

    while killed < 2:
        writer = await asyncio.create_subprocess_exec(sys.executable, "-c", WRITER, str(tmp_path), PATH)
        await until(has_begun)
        writer.kill()
        await writer.wait()
        killed += 1
    assert not (folder / PATH).exists()
    assert await store.remove_halves() == 0  # they might still grow
    await store.write(PATH, lines())
    assert remove_halves(folder, seconds=-1) == 2
    assert [path.name for path in (folder / "space").iterdir()] == [(folder / PATH).name]
    assert (folder / PATH).read_bytes() == b"row,externalId\r\n1,x1\r\n"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="which file a number stands for is read as Linux tells")
async def test_a_report_is_on_the_disk_when_it_is_said_to_be_written(
    store: ReportStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brought: list[str] = []
    really = os.fsync

    def note(handle: int) -> None:
        brought.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        really(handle)

    monkeypatch.setattr("os.fsync", note)
    await store.write(PATH, lines())
    folder = tmp_path / "reports"
    assert brought == [str(folder / PATH), str(folder / "space"), str(folder)]


@pytest.mark.parametrize(("number", "is_written"), [(errno.EINVAL, True), (errno.EIO, False)])
async def test_a_file_system_that_brings_only_files_to_the_disk_will_do(
    number: int, is_written: bool, store: ReportStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = os.fsync

    def refuse_folders(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, os.strerror(number))
        really(handle)

    monkeypatch.setattr("os.fsync", refuse_folders)
    with contextlib.nullcontext() if is_written else pytest.raises(ReportStoreError):
        await store.write(PATH, lines())
