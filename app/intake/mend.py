"""Pure: a row that failed, with the corrected fields that its owner sends for another try."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from app.intake.fields import SECRET_FIELDS
from app.intake.row import read_row
from app.model import Protocol, Row, Secrets, Side, Source

_KEPT: Final = "*"
"""Stands for a credential that is kept, while the row is read anew: this part of the house never opens one."""


def mend_row(row: Row, given: Mapping[str, object]) -> Row:
    """Return the row with `given` in place of its own fields; what was filled is filled anew. May have errors."""
    if not given:
        return row
    values: dict[str, object] = {**row.extra, **row.details, "externalId": row.external_id}
    if Source.PRESET in {*row.smtp.sources.values(), *row.imap.sources.values()}:
        values["emailServiceProvider"] = row.provider
    kept = {}
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
        kept.get(Protocol.SMTP, mended.secrets.smtp),
        kept.get(Protocol.IMAP, mended.secrets.imap),
        mended.secrets.smtp_is_token,
        mended.secrets.imap_is_token,
    )
    return replace(mended, secrets=secrets)


def lacks_secret(row: Row) -> bool:
    """Tell whether a side that is to be checked has no credential left."""
    return (row.smtp.wanted and row.secrets.smtp is None) or (row.imap.wanted and row.secrets.imap is None)


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
