"""I/O: one IMAP command on its way: what is said when the server asks back, and how it ended."""

from collections import deque
from collections.abc import Sequence

from aioimaplib import aioimaplib


class Exchange(aioimaplib.Command):
    """One command on its way: what answers its continuations, and how it ended.

    `answers`: lines to send, in turn, when the server says `+`; an empty one when they have run out. `due`: how many
    of them must have been sent before a yes can be believed. `again`: what came with the command, for servers that ask
    for it all the same, with nothing after the `+`.
    """

    def __init__(
        self, name: str, tag: str, *args: str, answers: Sequence[bytes] = (), due: int = 0, again: bytes = b""
    ) -> None:
        super().__init__(name, tag, *args)
        self._answers = deque(answers)
        self._due = due
        self._again = again
        self.challenges: list[bytes] = []
        self.ending = b""
        self.error: Exception | None = None

    async def wait(self) -> None:
        """Wait for the ending.

        Raises:
            WireError, OSError: the connection went first, and why.
        """
        await self._event.wait()
        if self.error is not None:
            raise self.error

    @property
    def is_early(self) -> bool:
        """Tell whether the server made up its mind before it had heard the password."""
        return len(self.challenges) < self._due

    @property
    def is_ok(self) -> bool:
        return self.ending[:3].upper() in {b"OK", b"OK "}

    def answer(self, challenge: bytes) -> bytes:
        """Return what answers a continuation, which is kept."""
        self.challenges.append(challenge)
        if self._again and not challenge:
            again, self._again = self._again, b""
            return again
        return self._answers.popleft() if self._answers else b""

    def finish(self, ending: bytes) -> None:
        """Record the tagged answer (`OK ...`, `NO ...`, `BAD ...`), and wake who waits."""
        self.ending = ending
        self._event.set()

    def fail(self, error: Exception) -> None:
        """Wake who waits with an error; without effect when the command has ended."""
        if not self._event.is_set():
            self.error = error
            self._event.set()
