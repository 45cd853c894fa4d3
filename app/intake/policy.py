"""Pure: rows that cannot work, told before anything is dialled (`data/policies.csv`, each with source and date)."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from app.intake.presets import find_preset
from app.model import Protocol


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a login at a provider cannot work. `code` is a value of `codes.Code`."""

    code: str
    note: str
    rule: str


def judge_before_dialling(provider: str, protocol: Protocol, *, host: str, is_token: bool) -> Refusal | None:
    """Return why a login of that kind cannot work at that provider; None: it may.

    `host` is the side's server, empty while it is unknown. A host that is not the provider's own is nobody's
    business here: mail of an address may well be sent through somebody else.
    """
    preset = find_preset(provider) if provider else None
    if preset is None or (host and not preset.owns(host)):
        return None
    for credential in ("any", "token" if is_token else "password"):
        refusal = _table().get((preset.slug, protocol.value, credential))
        if refusal is not None:
            return refusal
    return None


@cache
def _table() -> dict[tuple[str, str, str], Refusal]:
    text = files(__package__).joinpath("data/policies.csv").read_text("utf-8")
    return {
        (row["slug"], row["protocol"], row["credential"]): Refusal(row["code"], row["note"], f"policy:{row['slug']}")
        for row in csv.DictReader(text.splitlines())
    }
