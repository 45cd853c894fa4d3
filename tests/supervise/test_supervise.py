"""Processes kept running: started again when they die, ended when told, never left behind."""

import asyncio
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from app import supervise
from app.settings import Settings

SCRIPT = """
import http.server, os, pathlib, signal, sys, time
folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
with (folder / name).open("a") as file:
    file.write(f"{os.getpid()}\\n")
if name == "broken":
    sys.exit(7)
if name == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if name == "api":
    class Ready(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200); self.end_headers()
        def log_message(self, *words): pass
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[3])), Ready).serve_forever()
time.sleep(600)
"""


class Bench:
    """A service of small scripts in a folder, where each notes its process id."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder = folder
        script = folder / "script.py"
        script.write_text(SCRIPT)
        port = supervise.pick_port("127.0.0.1")
        commands = {name: (str(folder), name, str(port)) for name in names}
        self.service = supervise.Service(
            commands, dict(os.environ), f"http://127.0.0.1:{port}", program=(sys.executable, str(script))
        )
        self.stop, self.ready = asyncio.Event(), asyncio.Event()

    def start(self) -> asyncio.Task[None]:
        return asyncio.create_task(self.service.run(self.stop, self.ready.set))

    def pids(self, name: str) -> list[int]:
        file = self.folder / name
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    async def wait_for(self, name: str, count: int) -> int:
        async with asyncio.timeout(20):
            while len(self.pids(name)) < count:
                await asyncio.sleep(0.02)
        return self.pids(name)[-1]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_it_is_ready_when_the_api_answers_and_ends_when_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "api", "worker")
    running = bench.start()
    await asyncio.wait_for(bench.ready.wait(), 20)
    pids = [await bench.wait_for(name, 1) for name in ("api", "worker")]
    bench.stop.set()
    await asyncio.wait_for(running, 10)
    assert not any(map(is_alive, pids))


async def test_a_process_that_dies_is_started_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "api", "worker")
    running = bench.start()
    await asyncio.wait_for(bench.ready.wait(), 20)
    first = await bench.wait_for("worker", 1)
    os.kill(first, signal.SIGKILL)
    second = await bench.wait_for("worker", 2)
    assert is_alive(second)
    bench.stop.set()
    await running
    assert not is_alive(second)


async def test_a_process_that_cannot_start_ends_everything(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "broken", "worker")
    with pytest.raises(supervise.StartError, match="broken process ended with exit code 7") as caught:
        await bench.start()
    assert caught.value.exit_code == 7
    assert not any(map(is_alive, bench.pids("worker")))


async def test_an_api_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "READY_SECONDS", 0.5)
    bench = Bench(tmp_path, "worker")
    with pytest.raises(supervise.StartError, match="Nothing answers"):
        await bench.start()
    assert not any(map(is_alive, bench.pids("worker")))


async def test_what_does_not_hear_is_killed_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "STOP_SECONDS", 0.5)
    bench = Bench(tmp_path, "api", "stubborn")
    running = bench.start()
    await asyncio.wait_for(bench.ready.wait(), 20)
    pid = await bench.wait_for("stubborn", 1)
    await asyncio.sleep(0.3)
    began = time.monotonic()
    bench.stop.set()
    await running
    assert time.monotonic() - began < 5
    assert not is_alive(pid)


async def test_a_server_that_died_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "api")
    dead: list[str] = []
    bench.service.server_died = lambda: dead[0] if dead else ""
    running = bench.start()
    await asyncio.wait_for(bench.ready.wait(), 20)
    dead.append("Valkey")
    with pytest.raises(supervise.ServerDied, match="Valkey"):
        await running
    assert not any(map(is_alive, bench.pids("api")))


async def test_processes_do_not_outlive_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells children")
    (tmp_path / "script.py").write_text(SCRIPT)
    port = supervise.pick_port("127.0.0.1")
    program = (
        "import asyncio, os, sys\n"
        "from app import supervise\n"
        f"commands = {{name: ({str(tmp_path)!r}, name, '{port}') for name in ('api', 'worker')}}\n"
        f"program = (sys.executable, {str(tmp_path / 'script.py')!r})\n"
        f"service = supervise.Service(commands, dict(os.environ), 'http://127.0.0.1:{port}', program=program)\n"
        "async def main():\n"
        "    await service.run(asyncio.Event(), lambda: print('ready', flush=True))\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=Path(__file__).parents[2], stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 30) == b"ready\n"
    async with asyncio.timeout(10):
        while not (tmp_path / "worker").exists() or not (tmp_path / "worker").read_text().endswith("\n"):
            await asyncio.sleep(0.02)
    pids = [int((tmp_path / name).read_text()) for name in ("api", "worker")]
    process.kill()
    await process.wait()
    async with asyncio.timeout(10):
        while any(map(is_alive, pids)):
            await asyncio.sleep(0.05)


async def test_signals_set_the_event_once() -> None:
    with supervise.stopping() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(stop.wait(), 5)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::", "http://[::1]:8080"),
        ("::1", "http://[::1]:8080"),
        ("connect.example.com", "http://connect.example.com:8080"),
    ],
)
def test_where_the_api_is_reached(host: str, url: str) -> None:
    assert supervise.base_url(Settings(host=host)) == url


def test_a_host_of_another_machine_cannot_be_listened_on() -> None:
    with pytest.raises(supervise.StartError, match="Cannot listen on"):
        supervise.pick_port("192.0.2.1")


def test_a_port_that_another_listens_on_is_refused_by_its_number() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(supervise.StartError, match=f"Port {port} of 127.0.0.1 is taken"):
            supervise.pick_port("127.0.0.1", port)
    assert supervise.pick_port("127.0.0.1", port) == port


def test_a_service_has_one_api_and_its_workers() -> None:
    service = supervise.make_service(Settings(), {}, 2)
    assert dict(service.commands) == {"api": ("api",), "worker-1": ("worker",), "worker-2": ("worker",)}
