"""I/O (the loop's clock): what a check saw on its way, stage by stage, and the deadline of each.

One `Trail` lives as long as one check. Entering a stage ends the one before it, and moves the one timer
there is to the new stage's deadline, or to the whole check's where that comes first.
"""

import asyncio
from dataclasses import dataclass

from app.model import Certificate, Mechanism, Server, Stage, Trace


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
        seconds: float = getattr(self, stage.value)
        return seconds


class Trail:
    """What one check has seen so far; `freeze` makes a `Trace` of it."""

    __slots__ = (
        "_deadlines",
        "_ends_at",
        "_entered_at",
        "_loop",
        "_timer",
        "_timings",
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
        self._timer: asyncio.Timeout | None = None
        self._timings: dict[str, float] = {}

    def watch(self, timer: asyncio.Timeout) -> None:
        """Take charge of the timer in whose scope the check runs."""
        self._timer = timer

    def enter(self, stage: Stage, slack_seconds: float = 0.0) -> None:
        """End the stage before and begin `stage`. `slack_seconds`: for a stage that keeps its own deadline."""
        now = self._clock()
        self.stage = stage
        if self._timer is not None:
            until = min(now + self._deadlines.of(stage), self._ends_at)
            self._timer.reschedule(until + slack_seconds)

    def leave(self) -> None:
        """End the last stage; what follows is not timed, and no deadline of ours ends it."""
        self._clock()
        if self._timer is not None:
            self._timer.reschedule(None)
            self._timer = None

    def stop(self) -> None:
        """End the last stage where its timer has already run out or been left."""
        self._timer = None
        self._clock()

    def seconds_left(self, stage: Stage) -> float:
        """Return how long `stage` may take if it began now."""
        return max(0.0, min(self._deadlines.of(stage), self._ends_at - self._loop.time()))

    def freeze(self) -> Trace:
        """Return what was seen. Milliseconds are rounded, and a stage that was entered twice adds up."""
        return Trace(
            server=self.server,
            address=self.address,
            tls_version=self.tls_version,
            certificate=self.certificate,
            mechanism=self.mechanism,
            timings={stage: round(seconds * 1000) for stage, seconds in self._timings.items()},
            sent_credentials=self.sent_credentials,
            greeting=self.greeting,
            capabilities=self.capabilities,
            has_all_mail=self.has_all_mail,
        )

    def _clock(self) -> float:
        now = self._loop.time()
        self._timings[self.stage.value] = self._timings.get(self.stage.value, 0.0) + now - self._entered_at
        self._entered_at = now
        return now
