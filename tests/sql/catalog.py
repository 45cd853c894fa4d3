"""What a database's schema is made of, as lines that can be compared."""

from app.store.db import connect

_PARTS = (
    """SELECT format('%s.%s %s%s default %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
           CASE WHEN a.attnotnull THEN ' not null' ELSE '' END, pg_get_expr(d.adbin, d.adrelid))
           || coalesce(' statistics ' || nullif(a.attstattarget, -1), '')
       FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
       LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
       WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'm') AND a.attnum > 0
           AND NOT a.attisdropped
       ORDER BY c.relname, a.attnum""",
    """SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
       WHERE connamespace = 'public'::regnamespace ORDER BY 1""",
    """SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1""",
    """SELECT format('%s %s', relname, reloptions) FROM pg_class
       WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1""",
    """SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1""",
    """SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1""",
)


async def describe(url: str) -> list[str]:
    """Return columns in their order, constraints, indexes, storage options, functions and triggers."""
    link = await connect(url)
    try:
        lines = [record[0] for part in _PARTS for record in await link.fetch(part)]
    finally:
        await link.close()
    return [line for line in lines if "schema_migrations" not in line]
