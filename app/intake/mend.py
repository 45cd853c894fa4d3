"""Pure: a row that failed, with the corrected fields that its owner sends for another try."""

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from app.intake.fields import SECRET_FIELDS
from app.intake.row import read_row
from app.model import Protocol, Row, Secret, Secrets, Side, Source

_KEPT: Final = "\ue000"
"""Stands for a credential that is kept, while the row is read anew: this part of the house never opens one.

Nobody's password is a single character for private use.
"""


def mend_row(row: Row, given: Mapping[str, object]) -> Row:
    """Return the row with `given` in place of its own fields; what was filled is filled anew. May have errors."""
    if not given:
        return row
    values: dict[str, object] = {**row.extra, **row.details, "externalId": row.external_id}
    if Source.PRESET in {*row.smtp.sources.values(), *row.imap.sources.values()}:
        values["emailServiceProvider"] = row.provider
    kept: dict[Protocol, Secret] = {}
    for protocol, side, secret, is_token in (
        (Protocol.SMTP, row.smtp, row.secrets.smtp, row.secrets.smtp_is_token),
        (Protocol.IMAP, row.imap, row.secrets.imap, row.secrets.imap_is_token),
    ):
        values |= _own_fields(protocol, side)
        if side.wanted and secret is not None and not _brings_secret(protocol, side, given):
            values[f"{protocol}AccessToken" if is_token else f"{protocol}Password"] = _KEPT
            kept[protocol] = secret
    mended = read_row({**values, **given}, row.row)
    secrets = Secrets(
        _put_back(mended.secrets.smtp, kept.get(Protocol.SMTP), kept.get(Protocol.IMAP)),
        _put_back(mended.secrets.imap, kept.get(Protocol.IMAP), kept.get(Protocol.SMTP)),
        mended.secrets.smtp_is_token,
        mended.secrets.imap_is_token,
    )
    return replace(mended, secrets=secrets)


def lacks_secret(row: Row) -> bool:
    """Tell whether a side that is to be checked has no credential left."""
    return (row.smtp.wanted and row.secrets.smtp is None) or (row.imap.wanted and row.secrets.imap is None)


def _put_back(read: Secret | None, own: Secret | None, other: Secret | None) -> Secret | None:
    """Return what was read, or the credential that it stands for: the side's own, else the one it borrows."""
    return (own or other) if read == Secret(_KEPT) else read


def _own_fields(protocol: Protocol, side: Side) -> dict[str, object]:
    """Return the fields of a side as its row gave them; what was filled from elsewhere is left out."""
    if not side.wanted:
        return {str(protocol): False}
    own = {name for name, source in side.sources.items() if source is Source.ROW}
    values: dict[str, object] = {f"{protocol}EmailAddress": side.address}
    if "username" in own:
        values[f"{protocol}UserName"] = side.username
    if "host" in own:
        values[f"{protocol}Host"] = side.host
    if "port" in own:
        values[f"{protocol}Port"] = side.port
    if "encryption" in own and side.encryption is not None:
        values[f"{protocol}Encryption"] = side.encryption.value
    return values


def _brings_secret(protocol: Protocol, side: Side, given: Mapping[str, object]) -> bool:
    """Tell whether the corrected fields hold this side's credential, its own or the one that it borrows."""
    names = [f"{protocol}Password", f"{protocol}AccessToken", "accessToken"]
    if side.sources.get("password") is Source.OTHER_SIDE:
        names += SECRET_FIELDS
    return any(given.get(name) for name in names)
