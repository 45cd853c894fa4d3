"""I/O: drains rows as a worker does, in one process and without a database: rooms, slots, retries, the real checks.

It mirrors `claim_rows` and `record_results`; everything that decides is the project's own.
"""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

from msgspec import structs

from app.checked import SideResult
from app.login.check import close_tools, open_tools
from app.login.trace import Deadlines
from app.model import Encryption, Outcome, Protocol, RowState, Secret, Secrets, Side
from app.pace import Pace
from app.settings import Settings
from app.store.checks import ClaimedRow, RowRecord
from app.task import Kit, RowTask
from app.verdict import Progress
from app.verify import verify_row
from jobs.decide import Terms, count_tries, decide
from jobs.drain_request import BLOCK_ROWS
from jobs.rooms import Rooms
from tests.fakes.policed import HOST, RIGHT

EPOCH = datetime(2026, 11, 21, tzinfo=UTC)
BUDGET = timedelta(seconds=900)
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
POLL_SECONDS = 0.25
IDLE_SECONDS = 1.0
CLAIM_SECONDS = 0.005
"""What a claim takes in PostgreSQL."""
NOWHERE = Side(wanted=False)
REQUEST, WORKSPACE = UUID(int=1), UUID(int=2)


@dataclass
class Row:
    """One mailbox and what came of it. `ended_after`: seconds since the drain began."""

    claimed: ClaimedRow
    password: str
    state: RowState = RowState.QUEUED
    due_at: datetime = EPOCH
    outcome: Outcome | None = None
    results: dict[Protocol, SideResult] = field(default_factory=dict)
    ended_after: float = 0.0

    @property
    def result(self) -> SideResult | None:
        """The result of its SMTP side."""
        return self.results.get(Protocol.SMTP)

    @property
    def code(self) -> str:
        return self.result.code if self.result is not None else ""


def mailbox(
    number: int, port: int, imap_port: int = 0, *, host: str = HOST, pace_key: str = "", password: str = RIGHT
) -> Row:
    """Make a row with an SMTP side in clear, and with an IMAP side where that has a port."""
    address = f"info{number}@example.com"
    side = Side(True, address, address, host, port, Encryption.NONE)
    claimed = ClaimedRow(
        request_id=REQUEST,
        row=number,
        attempt=0,
        email=address,
        external_id="",
        provider="",
        pace_key=pace_key or host,
        smtp=side,
        imap=structs.replace(side, port=imap_port) if imap_port else NOWHERE,
        sealed=None,
        smtp_is_token=False,
        imap_is_token=False,
        details={},
        smtp_open=True,
        imap_open=bool(imap_port),
        smtp_login_count=0,
        imap_login_count=0,
        smtp_unanswered_count=0,
        imap_unanswered_count=0,
        duration_ms=0,
    )
    return Row(claimed, password)


@dataclass
class Drain:
    """Rows of a request on their way. `most_waiting`: most seconds that a slot was held without a dial."""

    rows: Sequence[Row]
    slots: int = 200
    deadlines: Deadlines = field(default_factory=Deadlines)
    auto_correct: bool = True
    pace: Pace = field(default_factory=Pace, init=False)
    rooms: Rooms = field(default_factory=Rooms, init=False)
    free: int = 0
    seconds: float = 0.0

    async def run(self) -> None:
        """Check all rows to their end."""
        sides = [side for row in self.rows for side in (row.claimed.smtp, row.claimed.imap) if side.wanted]
        ports = frozenset(side.port for side in sides) | {465, 587, 143, 993}
        self.pace = Pace(slots=self.slots)
        tools = open_tools(Settings(allow_networks=LOOPBACK, allow_ports=ports, dns_servers=("127.0.0.1:9",)))
        kit = Kit(replace(tools, deadlines=self.deadlines), self.pace, self.deadlines.total)
        self.free = self.slots
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        tasks: set[asyncio.Task[None]] = set()
        while any(row.state is not RowState.DONE for row in self.rows):
            now = EPOCH + timedelta(seconds=loop.time())
            for row in self.rows:
                if row.state is RowState.WAITING and row.due_at <= now:
                    row.state = RowState.QUEUED
            while claimed := self._claim(now):
                for row in claimed:
                    task = asyncio.create_task(self._check(row, kit, began_at))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                await asyncio.sleep(CLAIM_SECONDS)
            if tasks:
                await asyncio.wait(tasks, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                for task in [task for task in tasks if task.done()]:
                    task.result()
            else:
                await asyncio.sleep(IDLE_SECONDS)
        self.seconds = max(row.ended_after for row in self.rows)
        await close_tools(tools)

    def outcomes(self) -> Counter[str]:
        """Count codes."""
        return Counter(row.code for row in self.rows)

    def failures_of_good(self) -> list[tuple[int | str, ...]]:
        """List good mailboxes that were reported failed."""
        return [
            (row.claimed.row, *(f"{of} {result.code} {result.reply}" for of, result in row.results.items()))
            for row in self.rows
            if row.password == RIGHT and row.outcome is not Outcome.CONNECTED
        ]

    def _claim(self, now: datetime) -> list[Row]:
        rooms = self.rooms.share(REQUEST, WORKSPACE, self.pace.rooms(), self.pace.default_room())
        taken: Counter[str] = Counter()
        claimed: list[Row] = []
        for row in self.rows:
            key = row.claimed.pace_key
            if len(claimed) >= min(self.free, BLOCK_ROWS):
                break
            if row.state is RowState.QUEUED and taken[key] < rooms.get(key, self.pace.default_room()):
                taken[key] += 1
                self.rooms.begin(REQUEST, WORKSPACE, key)
                was = row.claimed
                row.state = RowState.CHECKING
                row.claimed = replace(
                    was,
                    attempt=was.attempt + 1,
                    smtp_login_count=was.smtp_login_count + was.smtp_open,
                    imap_login_count=was.imap_login_count + was.imap_open,
                    smtp_unanswered_count=was.smtp_unanswered_count + was.smtp_open,
                    imap_unanswered_count=was.imap_unanswered_count + was.imap_open,
                    first_claimed_at=was.first_claimed_at or now,
                )
                claimed.append(row)
        self.free -= len(claimed)
        return claimed

    async def _check(self, row: Row, kit: Kit, began_at: float) -> None:
        loop = asyncio.get_running_loop()
        claimed = row.claimed
        secrets = Secrets(Secret(row.password), Secret(row.password))
        smtp = claimed.smtp if claimed.smtp_open else None
        imap = claimed.imap if claimed.imap_open else None
        email, provider, pace_key = claimed.email, claimed.provider, claimed.pace_key
        task = RowTask(email, provider, pace_key, smtp, imap, secrets, self.auto_correct, count_tries(claimed))
        progress = Progress(on_arrival=partial(self.rooms.arrive, pace_key))
        try:
            verdict = await verify_row(task, kit, progress)
        finally:
            self.free += 1
            progress.arrive(*Protocol)
            self.rooms.end(REQUEST, WORKSPACE, pace_key)
        now = EPOCH + timedelta(seconds=loop.time())
        terms = Terms((claimed.first_claimed_at or now) + BUDGET, now, (uuid4().int % 1000) / 1000)
        is_open = {Protocol.SMTP: claimed.smtp_open, Protocol.IMAP: claimed.imap_open}
        settled = {of: result for of, result in row.results.items() if not is_open[of]}
        self._record(row, decide(claimed, verdict, settled, terms, 0), loop.time() - began_at)

    def _record(self, row: Row, record: RowRecord, after_seconds: float) -> None:
        row.state, row.outcome = record.state, record.outcome
        row.due_at = record.due_at or row.due_at
        row.ended_after = after_seconds
        row.results |= {side.protocol: side for side in record.sides}
        put_off_count = row.claimed.put_off_count + record.is_put_off
        row.claimed = replace(
            row.claimed,
            smtp_open=record.smtp_open,
            imap_open=record.imap_open,
            smtp_login_count=row.claimed.smtp_login_count - record.smtp_login_back,
            imap_login_count=row.claimed.imap_login_count - record.imap_login_back,
            smtp_unanswered_count=row.claimed.smtp_unanswered_count - record.smtp_answered,
            imap_unanswered_count=row.claimed.imap_unanswered_count - record.imap_answered,
            put_off_count=put_off_count,
            first_claimed_at=row.claimed.first_claimed_at if put_off_count < row.claimed.attempt else None,
        )
