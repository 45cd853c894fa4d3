"""I/O (it listens to the interpreter): every address that this process begins to connect to."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Final

_WATCHERS: Final[list[list[tuple[str, int]]]] = []


def _hear(event: str, args: tuple[object, ...]) -> None:
    if not _WATCHERS or event != "socket.connect":
        return
    where = args[1]
    if isinstance(where, tuple):
        for dialled in _WATCHERS:
            dialled.append((str(where[0]), int(where[1])))


sys.addaudithook(_hear)


@contextlib.contextmanager
def watch_dials() -> Iterator[list[tuple[str, int]]]:
    """Yield the list of (address, port) dialled meanwhile by this process, whoever asks for it."""
    dialled: list[tuple[str, int]] = []
    _WATCHERS.append(dialled)
    try:
        yield dialled
    finally:
        _WATCHERS.remove(dialled)
