"""Pure: whether the books balance after a run: outcomes, logins, counts, report."""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MOST_LOGINS = {"good": 2, "wrong": 2, "later": 3}
"""At each side of a mailbox, whatever dies: DESIGN section 3. A login that nobody saw answered is made once more."""
WANTED = {"good": "connected", "wrong": "failed", "later": "connected"}
OUR_FAULT = {"interrupted", "auth_no_answer"}


@dataclass(frozen=True)
class Row:
    """One row as it ended. `codes`: of both sides; `attempts`: how many times it was claimed."""

    email: str
    outcome: str
    codes: tuple[str, ...]
    attempts: int

    @property
    def kind(self) -> str:
        return self.email.partition("-")[0]


def audit(rows: Sequence[Row], logins: Mapping[tuple[str, str], Sequence[str]]) -> list[str]:
    """Return what is wrong; nothing: the books balance."""
    return [*_audit_outcomes(rows), *_audit_logins(rows, logins)]


def audit_report(rows: Sequence[Row], text: str) -> list[str]:
    """Compare the report with the rows."""
    lines = list(csv.DictReader(io.StringIO(text, newline="")))
    said = [(line["emailAddress"], line["outcome"]) for line in lines]
    return [] if said == [(row.email, row.outcome) for row in rows] else ["the report does not match the rows"]


def audit_counts(counts: Mapping[str, int], rows: Sequence[Row]) -> list[str]:
    """Compare a request's counts with its rows."""
    found = Counter(row.outcome for row in rows)
    wrong = [name for name, count in counts.items() if name not in {"total", "pending"} and found[name] != count]
    wrong += ["pending"] if counts["pending"] else []
    wrong += ["total"] if counts["total"] != len(rows) else []
    return [f"the count of {name} is {counts[name]}, the rows say otherwise" for name in wrong]


def _audit_outcomes(rows: Sequence[Row]) -> list[str]:
    return [
        f"{row.email} is {row.outcome} ({', '.join(row.codes)}) after {row.attempts} attempts"
        for row in rows
        if row.outcome != WANTED[row.kind] and not (row.attempts > 1 and OUR_FAULT & set(row.codes))
    ]


def _audit_logins(rows: Sequence[Row], logins: Mapping[tuple[str, str], Sequence[str]]) -> list[str]:
    wrong = []
    for row in rows:
        for protocol in ("smtp", "imap"):
            made = logins.get((protocol, row.email), ())
            is_calm = row.attempts == 1
            if len(made) > MOST_LOGINS[row.kind] or (is_calm and len(made) != 1):
                wrong.append(
                    f"{row.email}: {len(made)} {protocol} logins ({', '.join(made)}) in {row.attempts} attempts"
                )
            elif row.outcome == "connected" and "ok" not in made:
                wrong.append(f"{row.email} is connected, and {protocol} never let it in")
    return wrong
