"""Servers of our own: data outlive every end, one supervisor at a time, nothing is left behind."""

import asyncio
import fcntl
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from redis.asyncio import Redis

from app import embedded
from tests.embedded.supervisors import (
    another_supervisor,
    beginning,
    is_alive,
    note,
    notes,
    running,
    wait_until_gone,
    wait_until_held,
)


async def test_data_survive_a_restart(folder: Path) -> None:
    for turn in ("one", "two"):
        with running(folder) as servers:
            await note(servers, turn)
    with running(folder) as servers:
        assert await notes(servers) == (["one", "two"], ["one", "two"])


async def test_a_second_start_is_refused_in_words_and_harms_nobody(folder: Path) -> None:
    with running(folder) as servers:
        started = time.monotonic()
        with pytest.raises(
            embedded.EmbeddedError, match=f"{folder} is in use by another bulk-connect; stop it, or use"
        ):
            embedded.start(folder)
        assert time.monotonic() - started < 2
        await note(servers, "still here")
        assert servers.died() == ""


async def test_a_second_start_beside_another_process_is_refused(folder: Path) -> None:
    with another_supervisor(folder) as (_, pids):
        with pytest.raises(embedded.EmbeddedError, match="in use"):
            embedded.start(folder)
        attached = embedded.attach(folder)
        assert attached is not None
        await note(attached, "from outside")
        attached.stop()
        assert all(map(is_alive, pids))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
@pytest.mark.parametrize("is_looked_at", [True, False], ids=["reaped", "zombie"])
async def test_servers_of_a_killed_supervisor_end_and_the_next_start_goes_on(folder: Path, is_looked_at: bool) -> None:
    with another_supervisor(folder) as (process, pids):
        attached = embedded.attach(folder)
        assert attached is not None
        await note(attached, "before")
        sockets = Path(attached.redis_url.removeprefix("unix://")).parent
        process.kill()
        if is_looked_at:
            process.wait()
        else:
            await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with running(folder) as servers:
            assert not any(map(is_alive, pids))
            assert not sockets.exists()
            assert await notes(servers) == (["before"], ["before"])
    wait_until_gone(*pids)


async def test_a_lock_file_that_names_a_living_stranger_holds_nobody_up(folder: Path) -> None:
    """After a crash the process id in it may be anybody's."""
    folder.mkdir()
    about = {"pid": os.getppid(), "database_url": "postgresql://gone", "redis_url": "unix://gone"}
    (folder / "lock").write_text(json.dumps(about))
    assert embedded.attach(folder) is None
    with running(folder) as servers:
        await note(servers, "here")


async def test_servers_that_died_come_back_in_their_place(folder: Path) -> None:
    with running(folder) as servers:
        await note(servers, "before")
        async with Redis.from_url(servers.redis_url) as redis:
            await redis.execute_command("WAITAOF", 1, 0, 5000)
        for server in servers.servers:
            server.process.kill()
            server.process.wait()
            assert servers.died() == server.name
            assert servers.revive() == ""
        assert await notes(servers) == (["before"], ["before"])


def test_a_stop_leaves_neither_process_nor_socket_nor_lock(folder: Path) -> None:
    servers = embedded.start(folder)
    pids = [server.process.pid for server in servers.servers]
    sockets = [server.socket for server in servers.servers]
    assert all(socket.exists() for socket in sockets)
    servers.stop()
    assert not any(map(is_alive, pids))
    assert not any(socket.parent.exists() for socket in sockets)
    assert embedded.attach(folder) is None
    servers.stop()


async def test_who_comes_while_another_starts_joins_it(folder: Path) -> None:
    with beginning(folder):
        wait_until_held(folder)
        joined = embedded.start_or_attach(folder)
        await note(joined, "joined")
        assert joined.servers == ()
    with running(folder) as servers:
        assert await notes(servers) == (["joined"], ["joined"])


def test_who_comes_alone_starts_them(folder: Path) -> None:
    servers = embedded.start_or_attach(folder)
    assert len(servers.servers) == 2
    servers.stop()


def test_who_comes_while_another_starts_and_never_gets_ready_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir()
    monkeypatch.setattr(embedded, "STOP_SECONDS", 0.3)
    with (folder / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(embedded.FolderBusyError):
            embedded.start_or_attach(folder)


def test_servers_hear_of_an_end_by_signal(folder: Path) -> None:
    with another_supervisor(folder) as (process, pids):
        process.send_signal(signal.SIGTERM)
        process.wait()
        wait_until_gone(*pids)
