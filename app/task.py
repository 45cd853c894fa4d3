"""I/O (what it holds does it): what is to be checked, a row or one side of it, and what all checks share."""

from dataclasses import dataclass

from app.checked import Failure
from app.diagnose.diagnose import Diagnosis
from app.login.check import Tools
from app.model import Protocol, Secret, Secrets, Side
from app.pace import Pace
from app.verdict import Progress, SideVerdict, judge, not_dialled


@dataclass(frozen=True, slots=True)
class Kit:
    """What all checks of a process share."""

    tools: Tools
    pace: Pace
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class RowTask:
    """One row to check. A side that is None is not to be checked now.

    `tries`: which try of the row this is. Who was silent gets more time at the next: some greet only after half a
    minute (name servers that are down, a pause against spam).
    """

    email: str
    provider: str
    pace_key: str
    smtp: Side | None
    imap: Side | None
    secrets: Secrets
    auto_correct: bool = True
    tries: int = 1


@dataclass(slots=True)
class SideTask:
    """One side of a row on its way, to one server after the other.

    `provider`: a slug; empty until it is known who runs the service. `auto_correct`: whether this server may be tried
    in other ways than `side` says. `timeout_seconds`: what is left for this server.
    """

    row: RowTask
    provider: str
    protocol: Protocol
    side: Side
    secret: Secret
    is_token: bool
    kit: Kit
    progress: Progress
    auto_correct: bool = True
    timeout_seconds: float = 0.0

    def note_cut(self, sent_credentials: bool) -> None:
        if sent_credentials:
            self.progress.sent.add(self.protocol)

    def judge(self, failure: Failure, diagnosis: Diagnosis, *, is_final: bool = False) -> SideVerdict:
        """Return the verdict of a side that was not dialled."""
        checked = not_dialled(self.protocol, self.side, failure)
        return judge(self.provider, self.side, checked, diagnosis, is_final=is_final)
