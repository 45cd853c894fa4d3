"""Rows go into PostgreSQL in its binary format: every column holds what the row does."""

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from app.model import Correction, Encryption, Row, RowError, Secret, Secrets, Side, Source
from app.seal import Sealer, row_binding
from app.store.db import new_id
from app.store.packing import COLUMNS, MOST_SHARED, Packer, pack_rows
from tests.store.ledger import Space, make_row, make_rows

KEY = bytes(32)
ERROR = RowError(1, "smtpPort", "range", "smtpPort must be a port from 1 to 65535.")
MENDED = Correction("imapPort", "993.0", "993", "A port is a whole number.")
WIDE = "Łódź \U0001f4ee"
OAUTH = Side(True, "a@example.com", "a@example.com", "imap.example.com", 993, Encryption.SSL, {"host": Source.PRESET})
TOKENS = Secrets(Secret("pass"), Secret("token"), smtp_is_token=False, imap_is_token=True)


async def put(space: Space, *rows: Row) -> list[dict[str, Any]]:
    """COPY rows into a request that has none yet. Returns them as the table holds them."""
    request_id = await space.add(make_rows(1))
    await space.db.execute("DELETE FROM request_rows WHERE request_id = $1", request_id)
    packer = Packer(request_id, Sealer(KEY))
    source = memoryview(pack_rows(map(packer.pack, rows)))
    await space.db.copy_to_table("request_rows", source=source, columns=COLUMNS, format="binary")
    found = await space.db.fetch("SELECT * FROM request_rows WHERE request_id = $1 ORDER BY row", request_id)
    return [dict(record) for record in found]


def expect(row: Row, outcome: str | None) -> Mapping[str, object]:
    """Return the columns that a row comes to."""
    sides: dict[str, object] = {}
    for name, side in (("smtp", row.smtp), ("imap", row.imap)):
        sides |= {f"{name}_{key}": getattr(side, key) for key in ("wanted", "address", "username", "host", "port")}
        sides |= {f"{name}_encryption": side.encryption or "", f"{name}_open": side.wanted and outcome is None}
    return {
        **sides,
        "row": row.row,
        "email": row.email,
        "external_id": row.external_id,
        "provider": row.provider,
        "pace_key": row.pace_key,
        "state": "queued" if outcome is None else "done",
        "outcome": outcome,
        "sources": {"smtp": dict(row.smtp.sources), "imap": dict(row.imap.sources)},
        "smtp_is_token": row.secrets.smtp_is_token,
        "imap_is_token": row.secrets.imap_is_token,
        "details": row.details,
        "extra": row.extra,
        "errors": [{"field": error.field, "code": error.code, "message": error.message} for error in row.errors],
        "corrections": [
            {"field": one.field, "given": one.given, "used": one.used, "reason": one.reason} for one in row.corrections
        ],
        "duplicate_of": row.duplicate_of or None,
        "account_id": row.account_id,
    }


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        (make_row(1), None),
        (make_row(2**31 - 1, email=f"{WIDE}@example.com", external_id=WIDE, pace_key=WIDE, provider="gmail"), None),
        (make_row(1, smtp=Side(wanted=False), imap=OAUTH, secrets=TOKENS), None),
        (make_row(1, details={}, extra={}, imap=replace(OAUTH, host="", port=0, encryption=None)), None),
        (make_row(1, details={"fromName": WIDE, "metadata": {"a": [1, 2.5, None]}}, extra={WIDE: ""}), None),
        (make_row(1, secrets=Secrets(), corrections=(MENDED, MENDED)), None),
        (make_row(1, errors=(ERROR, ERROR), email="", duplicate_of=7), "invalid"),
        (make_row(9, duplicate_of=7), "duplicate"),
        (make_row(9, account_id=new_id()), "skipped"),
    ],
)
async def test_every_column_holds_what_the_row_does(space: Space, row: Row, outcome: str | None) -> None:
    (found,) = await put(space, row)
    wanted = expect(row, outcome)
    assert {name: found[name] for name in wanted} == wanted
    assert set(COLUMNS) == {*wanted, "request_id", "sealed"}
    if outcome is None and row.secrets != Secrets():
        secrets = row.secrets
        tokens = {"smtp_is_token": secrets.smtp_is_token, "imap_is_token": secrets.imap_is_token}
        assert Sealer(KEY).open(found["sealed"], row_binding(found["request_id"], row.row), **tokens) == secrets
    else:
        assert found["sealed"] is None


def test_kinds_of_rows_without_end_do_not_fill_the_memory() -> None:
    packer, common = Packer(new_id(), Sealer(KEY)), make_row(1)
    for number in range(2 * MOST_SHARED):
        packer.pack(replace(common, pace_key=f"{number}.example.com"))
    assert len(packer.shared) <= MOST_SHARED


async def test_what_rows_share_is_not_mixed_up(space: Space) -> None:
    """Rows alike but for one thing, many of each, in turns; more kinds than are remembered."""
    kinds: list[dict[str, Any]] = [
        {},
        {"provider": "gmail"},
        {"pace_key": "other.example.com"},
        {"duplicate_of": 1},
        {"smtp": replace(OAUTH, sources={"host": Source.ROW})},
        {"smtp": replace(OAUTH, sources={"host": Source.MX})},
        {"imap": replace(OAUTH, port=143)},
        {"secrets": TOKENS},
        *({"pace_key": f"{number}.example.com"} for number in range(5000)),
    ]
    common = make_row(1)  # and with it, as after intake, the objects that tell where its settings come from
    rows = [replace(common, row=number, **kind) for number, kind in enumerate(kinds + kinds[:20], 1)]
    found = await put(space, *rows)
    assert len(found) == len(rows)
    for row, record in zip(rows, found, strict=True):
        wanted = expect(row, "duplicate" if row.duplicate_of else None)
        assert {name: record[name] for name in wanted} == wanted
