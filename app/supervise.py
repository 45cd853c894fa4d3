"""I/O: keeps one API process and the workers running until told to stop; what `up` does after the ground is laid.

A process that dies is started again, after a pause that grows while it keeps dying. Before the service has
been ready once, a process that dies ends everything: what is wrong then stays wrong. When a server of our own
dies, that ends it too, and `up` lays the ground anew.
"""

import asyncio
import contextlib
import ctypes
import errno
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Final

import aiohttp
import structlog

from app.settings import Settings, variable_name

STOP_SECONDS: Final = 17.0
"""What the processes get after SIGTERM; with the servers' own end it stays under twenty seconds."""
READY_SECONDS: Final = 30.0
PAUSES: Final = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
STEADY_SECONDS: Final = 30.0
"""A process that lived this long starts again with the shortest pause."""
WATCH_SECONDS: Final = 0.5
PR_SET_PDEATHSIG: Final = 1

_LOG: Final = structlog.get_logger()
_LIBC: Final = ctypes.CDLL(None)


class StartError(Exception):
    """The service could not start. `exit_code`: what `up` ends with."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class ServerDied(Exception):  # noqa: N818 - an event, told to the caller that can mend it
    """A server of our own ended by itself."""


@dataclass(slots=True)
class Service:
    """The processes of one service: `commands` are names to arguments of `program`."""

    commands: Mapping[str, tuple[str, ...]]
    environ: Mapping[str, str]
    base_url: str
    server_died: Callable[[], str] = lambda: ""
    """Returns the name of a server of our own that died; empty: none."""
    program: tuple[str, ...] = (sys.executable, "-m", "app")
    output: IO[bytes] | None = None
    """Where the processes' words go; None: where ours go."""
    own_environ: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What the environment of one process has besides, by its name."""
    running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    is_ready: bool = False

    async def run(self, stop: asyncio.Event, on_ready: Callable[[], None]) -> None:
        """Run until `stop` is set; `on_ready` is called once, when the API answers.

        Raises:
            StartError: a process died, or nothing answered, before the service was ready.
            ServerDied: a server of our own ended by itself.
        """
        keepers: list[asyncio.Task[object]] = [asyncio.create_task(self._keep(name)) for name in self.commands]
        waiter: asyncio.Task[object] = asyncio.create_task(stop.wait())
        ready: asyncio.Task[object] = asyncio.create_task(self._wait_until_ready())
        try:
            while not stop.is_set():
                watched: set[asyncio.Future[object]] = {waiter, *keepers, *([] if self.is_ready else [ready])}
                await asyncio.wait(watched, timeout=WATCH_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                for task in keepers:
                    if task.done():
                        task.result()
                if ready.done() and not self.is_ready:
                    ready.result()
                    self.is_ready = True
                    on_ready()
                died = self.server_died()
                if died:
                    raise ServerDied(died)
        finally:
            tasks = (waiter, ready, *keepers)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._end_all()

    async def _keep(self, name: str) -> None:
        """Run one process, again and again."""
        loop = asyncio.get_running_loop()
        deaths = 0
        while True:
            started_at = loop.time()
            process = await asyncio.create_subprocess_exec(
                *self.program,
                *self.commands[name],
                env={**self.environ, **self.own_environ.get(name, {})},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=self.output,
                stderr=self.output,
                start_new_session=True,  # Ctrl-C is ours to hand on
                preexec_fn=_die_with_parent,
            )
            self.running[name] = process
            code = await process.wait()
            if not self.is_ready and code != -signal.SIGKILL:
                raise StartError(f"The {name} process ended with exit code {code} before the service was ready.", code)
            deaths = 0 if loop.time() - started_at > STEADY_SECONDS else deaths + 1
            pause = PAUSES[min(deaths, len(PAUSES)) - 1] if deaths else PAUSES[0]
            _LOG.warning("process.died", name=name, exit_code=code, starts_in_seconds=pause)
            await asyncio.sleep(pause)

    async def _wait_until_ready(self) -> None:
        """Wait until the API says that it is ready.

        Raises:
            StartError: it did not in time.
        """
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + READY_SECONDS
        while loop.time() < ends_at:
            if await is_answering(f"{self.base_url}/readyz"):
                return
            await asyncio.sleep(0.05)
        raise StartError(f"Nothing answers on {self.base_url} after {READY_SECONDS:g} s.")

    async def _end_all(self) -> None:
        """SIGTERM for all at once; SIGKILL for those still there when the time is up."""
        alive = [process for process in self.running.values() if process.returncode is None]
        for process in alive:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        waits = [asyncio.create_task(process.wait()) for process in alive]
        if waits:
            await asyncio.wait(waits, timeout=STOP_SECONDS)
        for process in alive:
            if process.returncode is None:
                _LOG.warning("process.killed", pid=process.pid)
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


def make_service(
    settings: Settings, environ: Mapping[str, str], workers: int, server_died: Callable[[], str] = lambda: ""
) -> Service:
    """Return the service that these settings describe: one API process and `workers` workers.

    /metrics of the API listens where the settings say, that of worker N on the port N higher.
    """
    commands = {"api": ("api",), **{f"worker-{number}": ("worker",) for number in range(1, workers + 1)}}
    host, _, port = settings.metrics_address.rpartition(":")
    addresses = {f"worker-{number}": f"{host}:{int(port) + number}" for number in range(1, workers + 1) if int(port)}
    own = {name: {variable_name("metrics_address"): address} for name, address in addresses.items()}
    return Service(commands, environ, base_url(settings), server_died, own_environ=own)


def base_url(settings: Settings) -> str:
    """Return where the API of these settings is reached from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(settings.host, settings.host)  # noqa: S104 - compared with, not listened on
    shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"http://{shown}:{settings.port}"


def pick_port(host: str, port: int = 0) -> int:
    """Return `port` of `host`, where it is free now, or for 0 any free one; another may take it before we do.

    Raises:
        StartError: the port is taken, or `host` is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As the API does: connections that were closed a moment ago do not hold the port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return int(probe.getsockname()[1])
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            words = f"Port {port} of {host} is taken: stop what listens there, or choose another with --port."
            raise StartError(words) from None
        raise StartError(f"Cannot listen on {host}: {error.strerror}.", 2) from None


async def is_answering(url: str) -> bool:
    """Tell whether `url` answers 200 within two seconds."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


@contextlib.contextmanager
def stopping() -> Iterator[asyncio.Event]:
    """Yield an event that SIGTERM and SIGINT set; a second signal of them does what it always does."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hear(number: signal.Signals) -> None:
        stop.set()
        loop.remove_signal_handler(number)

    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, hear, number)
    try:
        yield stop
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def _die_with_parent() -> None:
    """Ask Linux for a SIGTERM when the supervisor dies, however it dies (prctl(2))."""
    if sys.platform == "linux":
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
