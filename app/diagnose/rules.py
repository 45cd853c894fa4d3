"""Pure (reads its own tables): rules from what servers say to codes: see `rules.toml`.

Each rule stands with a real reply, its source and the day it was read; the tests run each, and require that the rule
wins its own example. The first rule that fits wins, so the order in the file is the order of trust.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Final

from app.codes import Code
from app.diagnose.reply import Evidence, strip_marks
from app.diagnose.words import Words
from app.model import Protocol, Stage

CLIENT_ONLY: Final = "client"
"""`of = "client"`: the rule reads only what a client library complains of, never a server's own reply."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table. Empty conditions let everything through; all that stand must hold."""

    id: str
    code: Code
    words: Words | None
    unless: Words | None
    protocol: Protocol | None
    stages: frozenset[Stage]
    codes: frozenset[int]
    enhanced: re.Pattern[str] | None
    response_codes: frozenset[str]
    statuses: frozenset[str]
    providers: frozenset[str]
    of: str
    example: str
    source: str
    read: str
    example_protocol: Protocol
    example_stage: Stage | None

    def fits(self, evidence: Evidence) -> bool:
        """Tell whether all conditions hold; the cheap ones are asked first."""
        return (
            (self.protocol is None or self.protocol is evidence.protocol)
            and (not self.of or not evidence.is_reply)
            and (not self.stages or (evidence.stage or Stage.AUTH) in self.stages)
            and (not self.codes or evidence.code in self.codes)
            and (not self.response_codes or evidence.response_code in self.response_codes)
            and (not self.statuses or evidence.status in self.statuses)
            and (not self.providers or self._is_from(evidence))
            and (self.enhanced is None or self.enhanced.fullmatch(evidence.enhanced) is not None)
            and (self.words is None or self.words.are_in(evidence.text))
            and (self.unless is None or not self.unless.are_in(evidence.text))
        )

    def _is_from(self, evidence: Evidence) -> bool:
        return any(name in evidence.provider or name in evidence.host for name in self.providers)


@lru_cache(maxsize=4096)
def find_rule(evidence: Evidence, without: frozenset[str] = frozenset()) -> Rule | None:
    """Return the first rule that fits; None: nobody knows. `without`: ids of rules to leave out.

    A server says the same to all it refuses, so what was judged lately is remembered.
    """
    for rule in load_rules():
        if rule.id not in without and rule.fits(evidence):
            return rule
    return None


@cache
def load_rules() -> tuple[Rule, ...]:
    """Return all rules in the order of trust."""
    text = files(__package__).joinpath("rules.toml").read_text("utf-8")
    return tuple(_read(entry) for entry in tomllib.loads(text)["rule"])


def _read(entry: dict[str, Any]) -> Rule:
    protocol = Protocol(entry["protocol"]) if "protocol" in entry else None
    stage = entry.get("example_stage")
    return Rule(
        id=entry["id"],
        code=Code(entry["code"]),
        words=_words(entry.get("words")),
        unless=_words(entry.get("unless")),
        protocol=protocol,
        stages=frozenset(map(Stage, entry.get("stages", ()))),
        codes=frozenset(entry.get("codes", ())),
        enhanced=re.compile(entry["enhanced"]) if "enhanced" in entry else None,
        response_codes=frozenset(entry.get("response_codes", ())),
        statuses=frozenset(entry.get("statuses", ())),
        providers=frozenset(entry.get("providers", ())),
        of=entry.get("of", ""),
        example=entry["example"],
        source=entry["source"],
        read=str(entry["read"]),
        example_protocol=Protocol(entry.get("example_protocol", protocol or "smtp")),
        example_stage=Stage(stage) if stage else None,
    )


def _words(patterns: str | list[str] | None) -> Words | None:
    if patterns is None:
        return None
    return Words(map(strip_marks, [patterns] if isinstance(patterns, str) else patterns))
