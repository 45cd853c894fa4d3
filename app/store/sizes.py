"""I/O: what PostgreSQL knows of the tables' sizes, brought up to date where they have outgrown it.

It plans statements by that, and workers keep the plans. On a new installation they are plans for a handful of rows,
which read whole tables, until autovacuum comes by a minute later: a request of 15,000 rows took ten times the CPU.
"""

import contextlib
from typing import Final

from app.store.db import Database, StoreError, bind

_LIST_OUTGROWN_TABLES: Final = bind("list_outgrown_tables")
_ANALYZE: Final = {"checks": bind("analyze_checks"), "request_rows": bind("analyze_rows")}


async def analyze_outgrown_tables(db: Database) -> None:
    """Have PostgreSQL look at tables that are twice as large as it knows; plans are made anew then.

    It refuses that to a role that does not own the tables, with a warning that nobody sees; autovacuum does it later.
    """
    with contextlib.suppress(StoreError):  # it goes without
        for record in await _LIST_OUTGROWN_TABLES.many(db):
            await _ANALYZE[record["name"]].run(db)
