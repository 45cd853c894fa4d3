"""I/O (the loop's clock): what a check saw on its way, stage by stage, and the deadline of each.

One `Trail` lives as long as one check. Entering a stage ends the one before it and moves the deadline to the new
stage's, or to the whole check's where that comes first.
"""

import asyncio
from dataclasses import dataclass, replace

from app.checked import Certificate, Trace
from app.model import Mechanism, Server, Stage


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each stage, and the whole check, may take, in seconds."""

    total: float = 60.0
    resolve: float = 10.0
    connect: float = 10.0
    tls: float = 15.0
    greet: float = 15.0
    auth: float = 45.0
    select: float = 30.0

    def of(self, stage: Stage) -> float:
        seconds: float = getattr(self, stage)
        return seconds

    def stretch(self, times: int) -> "Deadlines":
        """Return deadlines with so many times the patience for a handshake or a greeting, within the same whole."""
        return replace(self, tls=self.tls * times, greet=self.greet * times) if times > 1 else self


class Trail:
    """What one check has seen so far; `freeze` makes a `Trace` of it.

    It keeps the time as `asyncio.timeout` does, by cancelling the task, but with one timer for all stages: when
    that rings too early, since a later stage may take longer, it is set again.
    """

    __slots__ = (
        "_cancelling",
        "_deadlines",
        "_ends_at",
        "_entered_at",
        "_loop",
        "_ring_count",
        "_rings_at",
        "_task",
        "_timer",
        "_timings",
        "_until",
        "address",
        "capabilities",
        "certificate",
        "greeting",
        "has_all_mail",
        "mechanism",
        "sent_credentials",
        "server",
        "stage",
        "tls_version",
    )

    def __init__(self, server: Server, deadlines: Deadlines) -> None:
        self.server = server
        self.stage = Stage.RESOLVE
        self.address = ""
        self.tls_version = ""
        self.certificate = Certificate()
        self.mechanism: Mechanism | None = None
        self.sent_credentials = False
        self.greeting = ""
        self.capabilities: tuple[str, ...] = ()
        self.has_all_mail: bool | None = None
        self._deadlines = deadlines
        self._loop = asyncio.get_running_loop()
        self._entered_at = self._loop.time()
        self._ends_at = self._entered_at + deadlines.total
        self._timings: dict[Stage, float] = {}
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0
        self._until = 0.0
        self._ring_count = 0

    def start(self) -> None:
        """Begin to keep the time of the running task, until `stop`."""
        self._task = asyncio.current_task()
        self._cancelling = self._task.cancelling() if self._task is not None else 0

    def enter(self, stage: Stage, slack_seconds: float = 0.0) -> None:
        """End the stage before and begin `stage`. `slack_seconds`: for a stage that keeps its own deadline."""
        now = self._clock()
        self.stage = stage
        if self._task is not None:
            self._until = min(now + self._deadlines.of(stage), self._ends_at) + slack_seconds
            if self._timer is None or self._until < self._rings_at:
                self._set()

    def stop(self) -> bool:
        """End the last stage and stop keeping the time. Returns whether a CancelledError of now is a deadline's."""
        self._clock()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        task, self._task = self._task, None
        is_ours = False
        if task is not None:
            # More than once: a library may have swallowed the first, as `asyncio.wait_for` of Python 3.11 does.
            for _ in range(self._ring_count):
                is_ours = task.uncancel() <= self._cancelling
        return is_ours

    def seconds_left(self, stage: Stage) -> float:
        """Return how long `stage` may take if it began now."""
        return max(0.0, min(self._deadlines.of(stage), self._ends_at - self._loop.time()))

    def forget_server(self) -> None:
        """Begin anew with the server, over another connection; the time goes on."""
        self.tls_version, self.certificate = "", Certificate()
        self.greeting, self.capabilities = "", ()

    def freeze(self) -> Trace:
        """Return what was seen. Milliseconds are rounded, and a stage that was entered twice adds up."""
        return Trace(
            server=self.server,
            address=self.address,
            tls_version=self.tls_version,
            certificate=self.certificate,
            mechanism=self.mechanism,
            timings={stage.value: round(seconds * 1000) for stage, seconds in self._timings.items()},
            sent_credentials=self.sent_credentials,
            greeting=self.greeting,
            capabilities=self.capabilities,
            has_all_mail=self.has_all_mail,
        )

    def _clock(self) -> float:
        now = self._loop.time()
        self._timings[self.stage] = self._timings.get(self.stage, 0.0) + now - self._entered_at
        self._entered_at = now
        return now

    def _set(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = self._until
        self._timer = self._loop.call_at(self._until, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._task is None:
            return
        if self._until > self._rings_at:
            self._set()
        else:
            self._ring_count += 1
            self._task.cancel()
