"""I/O: what PostgreSQL knows of the tables' sizes, brought up to date where one request outgrows it.

Its statements are planned by that, and plans are kept. On a new installation they are those of the first few rows, by
which whole tables are read, until autovacuum comes by a minute later: a request of 15,000 rows took ten times the CPU.
"""

import contextlib

from app.store.db import Database, StoreError, bind

_ANALYZE_CHECKS = bind("analyze_checks")
_ANALYZE_ROWS = bind("analyze_rows")
_COUNT_KNOWN_ROWS = bind("count_known_rows")


async def learn_of_rows(db: Database, count: int) -> None:
    """Have `request_rows` looked at, if a request of so many rows is more than was known; plans are made anew then."""
    with contextlib.suppress(StoreError):  # it goes without
        if (await _COUNT_KNOWN_ROWS.one(db))["rows"] < count:
            await _ANALYZE_ROWS.run(db)


async def learn_of_checks(db: Database, count: int) -> None:
    """Have `checks` looked at, if the sides of so many rows are more than was known."""
    with contextlib.suppress(StoreError):
        if (await _COUNT_KNOWN_ROWS.one(db))["checks"] < count:
            await _ANALYZE_CHECKS.run(db)
