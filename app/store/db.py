"""I/O: the pool, and the one place where PostgreSQL's errors become ours.

StoreError
├── NotFound       no such thing in this workspace
├── Conflict       it exists already, or changed meanwhile
└── Unavailable    PostgreSQL cannot be reached, or cannot answer now
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from uuid import UUID

import asyncpg
import msgspec

from sql import Query, load_queries

ACQUIRE_SECONDS: Final = 10.0
COMMAND_SECONDS: Final = 60.0
IDLE_SECONDS: Final = 15
"""After which PostgreSQL gives up a transaction in which nothing is asked: its locks would stop all others."""
SESSION: Final = f"""
SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'; SET statement_timeout = '{COMMAND_SECONDS:.0f}s';
SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3;
SET tcp_user_timeout = '30s';
"""
"""So that PostgreSQL misses a host that was cut off within a minute, not after two hours. Nothing on Unix sockets.

What is asked ends there when it is waited for no more: a connection that is given up tells it nothing.
"""

Database: TypeAlias = Any
"""An asyncpg pool or connection; asyncpg has no types."""

_GONE: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what asyncpg says of a connection that the server ends in the same moment
    asyncpg.OperatorInterventionError,  # shut down, crashed, starting, cancelled
    asyncpg.InsufficientResourcesError,  # no room, no memory, no connection left
    asyncpg.PostgresSystemError,  # its disk fails it
    asyncpg.TransactionRollbackError,  # deadlocks
    asyncpg.InvalidTransactionStateError,  # read-only for a while, as while another becomes the first; too long idle
    asyncpg.ObjectNotInPrerequisiteStateError,  # locked for longer than the operator bears
    asyncpg.InvalidAuthorizationSpecificationError,  # its password has just been changed, and ours not yet
    asyncpg.InvalidCatalogNameError,  # the database is being put back
    OSError,
    TimeoutError,
)
"""What passes, or is for the operator to mend. Nothing in what was asked causes it, so it is asked again later."""


class StoreError(Exception):
    """PostgreSQL refused."""


class NotFound(StoreError):  # noqa: N818 - the words of the house
    """There is no such thing."""


class Conflict(StoreError):  # noqa: N818 - the words of the house
    """It exists already, or changed meanwhile."""


class Unavailable(StoreError):  # noqa: N818 - the words of the house
    """The database cannot be reached now."""


@contextlib.contextmanager
def translated() -> Any:
    """Turn what asyncpg raises into a StoreError; its own texts, which may quote values, go no further."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        raise Conflict(error.constraint_name or "") from None
    except asyncpg.ForeignKeyViolationError as error:
        raise NotFound(error.constraint_name or "") from None  # what it belongs to was deleted meanwhile
    except _GONE as error:
        raise Unavailable(type(error).__name__) from None
    except asyncpg.PostgresError as error:
        raise StoreError(f"{type(error).__name__} {error.sqlstate}") from None


@dataclass(frozen=True, slots=True)
class Statement:
    """A named query, bound at import."""

    query: Query
    is_planned_anew: bool = False

    def planned_anew(self) -> "Statement":
        """Return it so that it is planned at each call, for the tables as they are then.

        PostgreSQL keeps a plan after five calls (a worker's connection after the first), and one from the first rows of
        a new installation may read a whole table for each row of the first large request.
        """
        return Statement(self.query, is_planned_anew=True)

    async def one(self, db: Database, *values: object) -> Any:
        """Return the first record, or None."""
        with translated():
            async with self._connection(db) as link:
                return await link.fetchrow(self.query.sql, *values)

    async def many(self, db: Database, *values: object) -> Sequence[Any]:
        """Return all records."""
        with translated():
            async with self._connection(db) as link:
                found: Sequence[Any] = await link.fetch(self.query.sql, *values)
                return found

    async def run(self, db: Database, *values: object) -> None:
        """Run it for its effect."""
        with translated():
            async with self._connection(db) as link:
                await link.execute(self.query.sql, *values)

    def _connection(self, db: Database) -> contextlib.AbstractAsyncContextManager[Any]:
        return _planning_anew(db) if self.is_planned_anew else connection(db)


def bind(name: str) -> Statement:
    """Return the query of that name.

    Raises:
        KeyError: sql/queries/ holds none.
    """
    return Statement(load_queries()[name])


@contextlib.asynccontextmanager
async def connection(db: Database) -> AsyncIterator[Any]:
    """Yield `db` itself where it is a connection, else one from the pool, with a limit to the wait.

    A connection of the pool on which an answer was not waited for to the end is given up: a server that says nothing
    would not confirm that it stopped either.
    """
    if isinstance(db, asyncpg.Pool):
        async with db.acquire(timeout=ACQUIRE_SECONDS) as link:
            try:
                yield link
            except (TimeoutError, asyncio.CancelledError):
                _give_up(link)
                raise
    else:
        yield db


@contextlib.asynccontextmanager
async def transaction(db: Database, *, is_snapshot: bool = False) -> AsyncIterator[Any]:
    """Yield a connection in a transaction; what goes wrong in it is a StoreError.

    `is_snapshot`: it only reads, and all its statements see what was so at the first.
    """
    with translated():
        async with connection(db) as link:
            work = link.transaction(isolation="repeatable_read", readonly=True) if is_snapshot else link.transaction()
            await work.start()
            try:
                yield link
            except (TimeoutError, asyncio.CancelledError):
                _give_up(link)  # PostgreSQL takes back what a connection that is gone has begun
                raise
            except BaseException:
                await work.rollback()
                raise
            await work.commit()


@contextlib.asynccontextmanager
async def _planning_anew(db: Database) -> AsyncIterator[Any]:
    async with transaction(db) as link:
        await link.execute("SET LOCAL plan_cache_mode = 'force_custom_plan'")
        yield link


async def open_pool(url: str, *, most: int = 10, keeps_plans: bool = False) -> Any:
    """Open a pool of at most `most` connections; none is made before it is needed.

    `keeps_plans`: what is not `planned_anew` is planned once, whatever its values (arrays and limits are guessed at).
    It is for a worker, which asks the same all the time.

    Raises:
        Unavailable: PostgreSQL does not answer.
    """
    with translated():
        pool = asyncpg.create_pool(
            url,
            min_size=0,
            max_size=most,
            command_timeout=COMMAND_SECONDS,
            timeout=ACQUIRE_SECONDS,
            init=_prepare_to_keep_plans if keeps_plans else _prepare,
            reset=_leave_as_it_is,
        )
        return await pool


async def connect(url: str) -> Any:
    """Open one connection, for a command.

    Raises:
        Unavailable: PostgreSQL does not answer.
    """
    with translated():
        link = await asyncpg.connect(url, command_timeout=COMMAND_SECONDS, timeout=ACQUIRE_SECONDS)
        await _prepare(link)
        return link


async def is_reachable(db: Database) -> bool:
    """Tell whether PostgreSQL answers within two seconds."""
    try:
        with translated():
            async with asyncio.timeout(2), connection(db) as link:
                return bool(await link.fetchval("SELECT true"))
    except StoreError:
        return False


def new_id() -> UUID:
    """Return a UUID of version 7 (RFC 9562, section 5.7): in the order of time, with 74 random bits."""
    stamp = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    return UUID(int=stamp << 80 | 0x7 << 76 | (random >> 68 & 0xFFF) << 64 | 0b10 << 62 | random & (1 << 62) - 1)


def _give_up(link: Any) -> None:
    """End a connection without a word to the server; one that a block within has ended already is fine."""
    with contextlib.suppress(asyncpg.InterfaceError):
        link.terminate()


async def _leave_as_it_is(_link: Any) -> None:
    """Send nothing when a connection goes back: no statement of ours leaves anything in a session.

    A transaction that is open still has been rolled back by then.
    """


async def _prepare_to_keep_plans(link: Any) -> None:
    # PostgreSQL plans anew whatever has a LIMIT that it does not know: a third of what a claim costs.
    await link.execute("SET plan_cache_mode = 'force_generic_plan'")
    await _prepare(link)


async def _prepare(link: Any) -> None:
    await link.execute(SESSION)
    # Binary, since COPY takes nothing else. jsonb's binary form is a version byte and the text.
    for kind, head in (("json", b""), ("jsonb", b"\x01")):
        await link.set_type_codec(
            kind,
            encoder=lambda value, head=head: head + msgspec.json.encode(value),
            decoder=lambda data, head=head: msgspec.json.decode(data[len(head) :]),
            schema="pg_catalog",
            format="binary",
        )
