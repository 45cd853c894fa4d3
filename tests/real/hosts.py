"""I/O: hosts of our own on this machine: network namespaces that a run makes, wires to each other and takes away.

The first is the middle: it has the addresses NETWORK.1, .2, ... and a wire of its own to each of the others, which
reach nothing but the middle. Names bear the run's process id, so that what a killed run left is swept up by the next.
"""

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.real.process import UnavailableError

NETWORK = "10.77.0"
PREFIX = "bulkconnect"
CLONE_NEWNET = 0x40000000


@dataclass(frozen=True)
class Host:
    """A namespace. `wire`: the middle's end of its wire; `address`: its own, as the middle sees it."""

    name: str
    wire: str
    address: str

    def words(self, *command: str) -> list[str]:
        """Return a command as it is run on this host."""
        return ["ip", "netns", "exec", self.name, *command]


@dataclass(frozen=True)
class Hosts:
    """The middle by its name, and the others."""

    middle: str
    others: tuple[Host, ...]

    def pull(self, host: Host) -> None:
        """Pull a host's cable: what is on its way is lost, and nobody is told."""
        run("-n", self.middle, "link", "set", host.wire, "down")

    def plug(self, host: Host) -> None:
        run("-n", self.middle, "link", "set", host.wire, "up")

    def enter(self) -> None:
        """Move this thread, and whatever it starts, into the middle. Call it before any other thread is there."""
        with Path("/run/netns", self.middle).open() as handle:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(handle.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def open_hosts(*names: str, addresses: int = 1) -> Iterator[Hosts]:
    """Make the middle, with so many addresses, and a host for each name.

    Raises:
        UnavailableError: this machine allows none.
    """
    if os.geteuid() != 0 or shutil.which("ip") is None:
        raise UnavailableError("network namespaces need root and iproute2")
    _sweep()
    label = f"{PREFIX}-{os.getpid()}"
    middle = f"{label}-middle"
    others = tuple(
        Host(f"{label}-{name}", f"wire{number}", f"10.77.{number}.2") for number, name in enumerate(names, 1)
    )
    made: list[str] = []
    try:
        for name in (middle, *(host.name for host in others)):
            run("netns", "add", name)
            made.append(name)
            run("-n", name, "link", "set", "lo", "up")
        for number in range(1, addresses + 1):
            run("-n", middle, "address", "add", f"{NETWORK}.{number}/32", "dev", "lo")
        for number, host in enumerate(others, 1):
            run("link", "add", host.wire, "netns", middle, "type", "veth", "peer", "name", "eth0", "netns", host.name)
            run("-n", middle, "address", "add", f"10.77.{number}.1/30", "dev", host.wire)
            run("-n", middle, "link", "set", host.wire, "up")
            run("-n", host.name, "address", "add", f"{host.address}/30", "dev", "eth0")
            run("-n", host.name, "link", "set", "eth0", "up")
            run("-n", host.name, "route", "add", f"{NETWORK}.0/24", "via", f"10.77.{number}.1")
        yield Hosts(middle, others)
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def run(*words: str) -> None:
    """Run `ip`.

    Raises:
        UnavailableError: it refused.
    """
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnavailableError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def _sweep() -> None:
    """Take away the namespaces of runs that are gone."""
    for path in Path("/run/netns").glob(f"{PREFIX}-*-*"):
        number = path.name.split("-")[1]
        if number.isdecimal() and not Path("/proc", number).exists():
            subprocess.run(["ip", "netns", "delete", path.name], capture_output=True, check=False)
