"""Requests, claims and records made in few words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from msgspec import structs

from app.checked import SideResult
from app.intake.body import cut_rows
from app.model import (
    Encryption,
    Fault,
    Options,
    Outcome,
    Protocol,
    Row,
    RowState,
    Secret,
    Secrets,
    Side,
    SideStatus,
)
from app.seal import Keyring, new_data_key
from app.store.accounts import KeptAccount
from app.store.checks import ClaimedRow, RowRecord, claim_rows, record_results
from app.store.db import new_id
from app.store.incoming import insert_request
from app.store.requests import RequestRecord, get_request_for_job
from app.store.workspaces import Workspace

BUDGET = timedelta(minutes=15)


@dataclass(frozen=True)
class Space:
    """A workspace and the database it is in."""

    db: Any
    keyring: Keyring
    workspace: Workspace

    @property
    def id(self) -> UUID:
        return self.workspace.id

    async def add(self, rows: Sequence[Row], options: Options | None = None, *, days: float = 30) -> UUID:
        """Store a request as the API does."""
        options = options or Options()
        request_id, data_key = new_id(), new_data_key()
        await insert_request(
            self.db,
            request_id,
            self.id,
            options,
            cut_rows(rows),
            ["Team"],
            count=len(rows),
            data_key=data_key,
            wrapped_key=self.keyring.wrap(data_key),
            retention=timedelta(days=days),
        )
        return request_id

    async def read(self, request_id: UUID) -> RequestRecord:
        return await get_request_for_job(self.db, request_id)

    async def claim(
        self, request_id: UUID, worker_id: UUID, most: int = 100, rooms: Mapping[str, int] | None = None
    ) -> list[ClaimedRow]:
        claimed, _ = await self.look(request_id, worker_id, most, rooms=rooms or {})
        return claimed

    async def look(
        self, request_id: UUID, worker_id: UUID, most: int = 100, **changes: Any
    ) -> tuple[list[ClaimedRow], int]:
        terms: dict[str, Any] = {"rooms": {}, "default_room": 1000, "retry_budget": BUDGET, "from_row": 1, "scan": 1000}
        return await claim_rows(self.db, request_id, worker_id, most, **(terms | changes))

    async def end(self, worker_id: UUID, *records: RowRecord) -> list[UUID]:
        return await record_results(self.db, worker_id, records)

    async def keep(self, email: str, status: str = "OK", **changes: Any) -> UUID:
        """Make an account of a mailbox, as a row that ended does. Returns its id."""
        request_id, worker = await self.add([make_row(1, email=email)]), new_id()
        (claimed,) = await self.claim(request_id, worker)
        record = ended(claimed, "ok" if status == "OK" else "invalid_credentials")
        await self.end(worker, replace(record, account=make_account(self, claimed, status, **changes)))
        found = await self.db.fetchval("SELECT id FROM accounts WHERE workspace_id = $1 AND email = $2", self.id, email)
        return UUID(str(found))

    async def row(self, request_id: UUID, number: int = 1) -> dict[str, Any]:
        """Return a row as the table holds it."""
        found = await self.db.fetchrow(
            "SELECT * FROM request_rows WHERE request_id = $1 AND row = $2", request_id, number
        )
        return dict(found)


async def count_read(link: Any) -> int:
    """Return how many rows have been read in this database; other connections tell of theirs a moment later."""
    await link.execute("SELECT pg_stat_force_next_flush()")
    asked = "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::integer FROM pg_stat_user_tables"
    return int(await link.fetchval(asked))


def make_row(number: int, **changes: Any) -> Row:
    """Return a row whose both sides are to be checked, with one password."""
    email = str(changes.pop("email", f"user{number}@example.com"))
    smtp = Side(True, email, email, "smtp.example.com", 465, Encryption.SSL)
    imap = Side(True, email, email, "imap.example.com", 993, Encryption.SSL)
    secrets = Secrets(Secret(f"password {number}"), Secret(f"password {number}"))
    row = Row(number, email, f"x{number}", "", "example.com", smtp, imap, secrets, {"tags": ["a"]}, {"Team": "North"})
    return structs.replace(row, **changes)


def make_rows(count: int, **changes: Any) -> list[Row]:
    return [make_row(number, **changes) for number in range(1, count + 1)]


def side_result(protocol: Protocol, code: str = "ok", **changes: Any) -> SideResult:
    is_ok = code == "ok"
    result = SideResult(
        protocol,
        SideStatus.OK if is_ok else SideStatus.FAILED,
        code,
        fault=Fault.NOBODY if is_ok else Fault.USER,
        host=f"{protocol}.example.com",
        port=465,
        encryption=Encryption.SSL,
        reply="235 2.7.0 Welcome" if is_ok else "535 5.7.8 Bad credentials",
    )
    return replace(result, **changes)


def ended(claimed: ClaimedRow, code: str = "ok", **changes: Any) -> RowRecord:
    """Return the record of a row of which both sides ended in `code`, each after one login."""
    record = RowRecord(
        claimed.request_id,
        claimed.row,
        claimed.attempt,
        state=RowState.DONE,
        outcome=Outcome.CONNECTED if code == "ok" else Outcome.FAILED,
        due_at=None,
        duration_ms=120,
        smtp_open=False,
        imap_open=False,
        smtp_login_back=0,
        imap_login_back=0,
        smtp_answered=1,
        imap_answered=1,
        sides=(side_result(Protocol.SMTP, code), side_result(Protocol.IMAP, code)),
    )
    return replace(record, **changes)


def waiting(claimed: ClaimedRow, seconds: float = 60, **changes: Any) -> RowRecord:
    """Return the record of a row that is to be tried again later: nothing was sent."""
    due_at = datetime.now(UTC) + timedelta(seconds=seconds)
    return ended(
        claimed,
        "connection_timeout",
        **{
            "state": RowState.WAITING,
            "outcome": None,
            "due_at": due_at,
            "smtp_open": claimed.smtp_open,
            "imap_open": claimed.imap_open,
            "smtp_login_back": int(claimed.smtp_open),
            "imap_login_back": int(claimed.imap_open),
            **changes,
        },
    )


def handed_back(claimed: ClaimedRow) -> RowRecord:
    """Return the record of a row that was cut short."""
    return waiting(
        claimed,
        state=RowState.QUEUED,
        due_at=None,
        smtp_login_back=0,
        imap_login_back=0,
        smtp_answered=0,
        imap_answered=0,
        sides=(),
    )


def make_account(space: Space, claimed: ClaimedRow, status: str = "OK", **changes: Any) -> KeptAccount:
    """Return the account of a row; `sealed` tells which credentials it holds."""
    code = "ok" if status in {"OK", "NO_ACCESS_TO_ALL_MAIL"} else "invalid_credentials"
    account = KeptAccount(
        request_id=claimed.request_id,
        row=claimed.row,
        workspace_id=space.id,
        email=claimed.email,
        external_id=claimed.external_id,
        provider=claimed.provider,
        details=claimed.details,
        sealed=b"credentials",
        smtp_is_token=False,
        imap_is_token=False,
        smtp=claimed.smtp,
        smtp_code=code,
        imap=claimed.imap,
        imap_code=code,
        status=status,
    )
    return replace(account, **changes)
