"""Pure: rows of a request in PostgreSQL's binary COPY format (its manual, "COPY", under "Binary Format").

A row is a count of fields, then each field's length and bytes; -1 in place of a length is NULL:

    00 20 | 00 00 00 10 <request_id> | 00 00 00 04 00 00 00 01 | 00 00 00 10 info@example.com | … | ff ff ff ff | …

What many rows share, their servers above all, is packed once: it is more than half of their columns.
"""

from collections.abc import Iterable, Mapping
from struct import Struct
from typing import Final
from uuid import UUID

import msgspec

from app.model import Outcome, Row, Side, Source
from app.seal import Sealer, row_binding

_OWN: Final = (
    *("request_id", "row", "email", "external_id", "smtp_address", "smtp_username", "imap_address", "imap_username"),
    *("sealed", "details", "extra", "errors", "corrections", "duplicate_of", "account_id"),
)
_SHARED: Final = (
    *("state", "outcome", "provider", "pace_key", "sources"),
    *("smtp_wanted", "smtp_host", "smtp_port", "smtp_encryption", "smtp_is_token", "smtp_open"),
    *("imap_wanted", "imap_host", "imap_port", "imap_encryption", "imap_is_token", "imap_open"),
)
COLUMNS: Final = (*_OWN, *_SHARED)
"""In the order in which `Packer.pack` and `_pack_shared` write them."""

_BEGIN: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END: Final = b"\xff\xff"
_NULL: Final = b"\xff\xff\xff\xff"
_ENCODER: Final = msgspec.json.Encoder()
_LENGTH: Final = Struct("!i").pack
_WHOLE: Final = Struct("!ii").pack
MOST_SHARED: Final = 4096
"""Of a list in which every row has a server of its own, no more are kept."""

Shared = tuple[bytes, Mapping[str, Source], Mapping[str, Source]]


def pack_rows(packed: Iterable[bytes]) -> bytes:
    """Return packed rows as a whole COPY."""
    return b"".join((_BEGIN, *packed, _END))


def outcome_of(row: Row) -> Outcome | None:
    """Return how a row ends before it begins; None: it is to be checked."""
    if row.errors:
        return Outcome.INVALID
    if row.duplicate_of:
        return Outcome.DUPLICATE
    return Outcome.SKIPPED if row.account_id is not None else None


class Packer:
    """Seals and packs the rows of one request. Rows that are not to be checked keep no secrets."""

    def __init__(self, request_id: UUID, sealer: Sealer) -> None:
        self._request_id = request_id
        self._sealer = sealer
        self._head = len(COLUMNS).to_bytes(2, "big") + _bytes(request_id.bytes)
        self.shared: dict[tuple[object, ...], Shared] = {}

    def pack(self, row: Row) -> bytes:
        outcome, email = outcome_of(row), row.email
        smtp, imap, name = row.smtp, row.imap, _text(email)
        sealed = self._sealer.seal(row.secrets, row_binding(self._request_id, row.row)) if outcome is None else None
        return b"".join(
            (
                self._head,
                _WHOLE(4, row.row),
                name,
                _text(row.external_id) if row.external_id else _NO_TEXT,
                *[
                    name if text is email else _text(text)
                    for text in (smtp.address, smtp.username, imap.address, imap.username)
                ],
                _NULL if sealed is None else _bytes(sealed),
                _json(row.details) if row.details else _NO_FIELDS,
                _json(row.extra) if row.extra else _NO_FIELDS,
                _json([{"field": one.field, "code": one.code, "message": one.message} for one in row.errors])
                if row.errors
                else _NO_ENTRIES,
                _json(row.corrections) if row.corrections else _NO_ENTRIES,
                _WHOLE(4, row.duplicate_of) if row.duplicate_of else _NULL,
                _NULL if row.account_id is None else _bytes(row.account_id.bytes),
                self._share(row, outcome),
            )
        )

    def _share(self, row: Row, outcome: Outcome | None) -> bytes:
        """Return the columns that rows share.

        Of sources intake has one object for all that are alike; rows that are checked again have their own, and gain
        nothing here.
        """
        smtp, imap, secrets = row.smtp, row.imap, row.secrets
        key = (
            *(outcome, row.provider, row.pace_key, secrets.smtp_is_token, secrets.imap_is_token),
            *(smtp.wanted, smtp.host, smtp.port, smtp.encryption, id(smtp.sources)),
            *(imap.wanted, imap.host, imap.port, imap.encryption, id(imap.sources)),
        )
        found = self.shared.get(key)
        if found is None:
            if len(self.shared) >= MOST_SHARED:
                self.shared.clear()
            # Both are held on to, so that nothing else comes to have their identity.
            found = self.shared[key] = (_pack_shared(row, outcome), smtp.sources, imap.sources)
        return found[0]


def _pack_shared(row: Row, outcome: Outcome | None) -> bytes:
    return b"".join(
        (
            _text("queued" if outcome is None else "done"),
            _NULL if outcome is None else _text(outcome),
            _text(row.provider),
            _text(row.pace_key),
            _json({"smtp": dict(row.smtp.sources), "imap": dict(row.imap.sources)}),
            _pack_side(row.smtp, outcome, is_token=row.secrets.smtp_is_token),
            _pack_side(row.imap, outcome, is_token=row.secrets.imap_is_token),
        )
    )


def _pack_side(side: Side, outcome: Outcome | None, *, is_token: bool) -> bytes:
    is_open = side.wanted and outcome is None
    server = _text(side.host) + _WHOLE(4, side.port) + _text(side.encryption or "")
    return _flag(side.wanted) + server + _flag(is_token) + _flag(is_open)


def _bytes(value: bytes) -> bytes:
    return _LENGTH(len(value)) + value


def _text(value: str) -> bytes:
    text = value.encode()
    return _LENGTH(len(text)) + text


def _flag(value: bool) -> bytes:
    return b"\0\0\0\1\1" if value else b"\0\0\0\1\0"


def _json(value: object) -> bytes:
    """Return jsonb: a version, and the text."""
    text = _ENCODER.encode(value)
    return _LENGTH(len(text) + 1) + b"\1" + text


_NO_TEXT: Final = _text("")
_NO_FIELDS: Final = _json({})
_NO_ENTRIES: Final = _json([])
