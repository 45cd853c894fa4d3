"""I/O: what the codes mean, and what a pasted reply means."""

from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec
from aiohttp import web

from app.api.answer import json_answer
from app.api.body import read_body
from app.api.parameters import read_query
from app.api.problem import Fault, Problem
from app.codes import FACTS, Code
from app.diagnose.diagnose import explain
from app.diagnose.reply import STAGE_WORDS, guess_protocol
from app.model import Protocol
from app.report.advice import find_help, render_diagnosis, render_remedy
from app.verdict import describe

MOST_BYTES: Final = 64 * 1024
_PROTOCOLS: Final = {protocol.value: protocol for protocol in Protocol}

W = TypeVar("W")


async def list_all(http: web.Request) -> web.Response:
    """List every code."""
    read_query(http.query, ())
    items = [render_diagnosis(code) for code in Code]
    return json_answer({"payload": {"items": items, "nextCursor": None, "total": len(items)}})


async def get_one(http: web.Request) -> web.Response:
    """Tell all there is to say of a code."""
    read_query(http.query, ())
    text = http.match_info["code"]
    if text not in set(Code):
        raise Problem(404, "not-found", "There is no such code. GET /v1/diagnoses lists them.")
    return json_answer({"payload": render_diagnosis(Code(text))})


async def explain_one(http: web.Request) -> web.Response:
    """Diagnose a reply that somebody pasted; nothing of it is kept."""
    read_query(http.query, ())
    given = _read(await read_body(http, MOST_BYTES))
    raw = given.get("raw") or given.get("reply") or ""
    if not raw.strip():
        raise _wrong("raw", 'raw is missing: send {"raw": "535 5.7.8 …"}.')
    protocol = _word(given, "protocol", _PROTOCOLS) or guess_protocol(raw)
    stage = _word(given, "stage", STAGE_WORDS)
    provider = given.get("provider", "")
    found = explain(raw, protocol=protocol, stage=stage, provider=provider, host=given.get("host", ""))
    facts = FACTS[found.code]
    situation = describe(protocol, provider, host=given.get("host", ""))
    page = find_help(found.code, situation.provider)
    payload = {
        "code": found.code.value,
        "title": facts.title,
        "meaning": facts.meaning,
        "remedy": render_remedy(found.code, situation),
        "fault": facts.fault.value or None,
        "retryable": facts.is_retryable,
        "protocol": protocol.value,
        "rule": found.rule,
        "helpPage": page.page if page is not None else None,
    }
    return json_answer({"payload": payload})


def _read(body: bytes) -> dict[str, str]:
    try:
        given = msgspec.json.decode(body, type=dict[str, str | None])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        words = 'The body must be an object of texts: {"raw": "535 5.7.8 …", "protocol": "smtp", "provider": "gmail"}.'
        raise Problem(400, "body", words) from None
    return {name: text for name, text in given.items() if text is not None}


def _word(given: dict[str, str], name: str, meanings: Mapping[str, W]) -> W | None:
    text = given.get(name, "").lower()
    if text and text not in meanings:
        raise _wrong(name, f"{name} must be one of {', '.join(meanings)}.")
    return meanings[text] if text else None


def _wrong(name: str, words: str) -> Problem:
    return Problem(400, "body", words, faults=[Fault(name, "value", words)])
