"""Replies of real servers with the codes they come to, and how the rules judge them."""

import json
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from app.codes import Code
from app.diagnose.diagnose import Diagnosis, explain
from app.model import Protocol, Stage

HERE = Path(__file__).parent
STAGES = {stage.value: stage for stage in Stage} | {"greeting": Stage.GREET, "starttls": Stage.TLS}


@dataclass(frozen=True)
class Known:
    """One line: what was said, where, and the code it comes to."""

    id: str
    protocol: Protocol
    stage: Stage | None
    provider: str
    host: str
    raw: str
    code: Code
    others: frozenset[Code]
    source: str
    read: str

    def judge(self, without: frozenset[str] = frozenset()) -> Diagnosis:
        return explain(
            self.raw,
            protocol=self.protocol,
            stage=self.stage,
            provider=self.provider,
            host=self.host,
            without=without,
        )


@cache
def read_replies(name: str) -> tuple[Known, ...]:
    """Return the replies of a file here."""
    return tuple(_read(json.loads(line)) for line in (HERE / name).read_text("utf-8").splitlines())


def _read(line: dict[str, str]) -> Known:
    return Known(
        id=line["id"],
        protocol=Protocol(line["protocol"]),
        stage=STAGES.get(line["stage"]),
        provider=line["provider"],
        host=line.get("host") or "",
        raw=line["raw"],
        code=Code(line["code"]),
        others=frozenset(map(Code, line.get("alt_codes") or ())),
        source=line["source"],
        read=line.get("read", ""),
    )


def list_wrong(replies: tuple[Known, ...]) -> list[str]:
    """Return the replies that come to another code, as lines for a person."""
    judged = [(known, known.judge()) for known in replies]
    return [
        f"{known.id} wants {known.code}, got {found.code} by {found.rule}: {known.raw[:90]!r}"
        for known, found in judged
        if found.code is not known.code
    ]


def share_right(replies: tuple[Known, ...]) -> float:
    return 1 - len(list_wrong(replies)) / len(replies)


def leave_one_provider_out(replies: tuple[Known, ...]) -> tuple[float, list[str]]:
    """Judge each provider's replies with every rule off whose only evidence is that provider; say what went wrong."""
    evidence: dict[str, set[str]] = defaultdict(set)
    for known in replies:
        evidence[known.judge().rule].add(known.provider)
    wrong: list[str] = []
    for provider in sorted({known.provider for known in replies}):
        off = frozenset(rule for rule, providers in evidence.items() if providers == {provider})
        judged = [(known, known.judge(off)) for known in replies if known.provider == provider]
        wrong += [
            f"{provider} {known.id} wants {known.code}, got {found.code} by {found.rule}"
            for known, found in judged
            if found.code is not known.code
        ]
    return 1 - len(wrong) / len(replies), wrong
