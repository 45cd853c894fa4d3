"""Pure: what is wrong with a call, as a problem document (RFC 9457)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from app.model import RowError


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with the input: `row` counts from 1, 0: none; `field`: as the API names it."""

    field: str
    code: str
    message: str
    row: int = 0


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """A call that is answered with an error. `detail`: a sentence for the person who reads the script's output."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        """`kind`: what scripts tell problems apart by; the last part of `type`. `extra`: members of their own."""
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.faults = tuple(faults)
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


def render_problem(problem: Problem, *, instance: str, trace_id: str) -> dict[str, object]:
    """Return the document. `message` says what `detail` says, for scripts that print `message`."""
    document: dict[str, object] = {
        "type": f"urn:bulk-connect:problem:{problem.kind}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "message": problem.detail,
        "instance": instance,
        "requestTraceId": trace_id,
        **problem.extra,
    }
    if problem.faults:
        document["errors"] = [_render_fault(fault) for fault in problem.faults]
    return document


def faults_of(errors: Sequence[RowError]) -> list[Fault]:
    """Return row errors as faults."""
    return [Fault(error.field, error.code, error.message, error.row) for error in errors]


def _render_fault(fault: Fault) -> dict[str, object]:
    row = {"row": fault.row, "pointer": f"#/{fault.row - 1}/{fault.field}".rstrip("/")} if fault.row else {}
    is_in_body = fault.code != "parameter" and not fault.row and fault.field
    where = {"pointer": f"#/{fault.field}"} if is_in_body else {}
    return {**row, "field": fault.field, **where, "code": fault.code, "message": fault.message}


def not_found() -> Problem:
    """Return the answer for ids that are not there, or somebody else's: the two are not told apart."""
    return Problem(404, "not-found", "There is nothing with this id in your workspace; it may have been deleted.")


def unavailable(seconds: int = 5) -> Problem:
    """Return the answer while PostgreSQL is away."""
    # It may have gone in the moment of a COMMIT, whose end nobody knows then.
    words = "The service cannot store or read anything now. Try again: with an Idempotency-Key nothing is made twice."
    return Problem(503, "unavailable", words, headers={"Retry-After": str(seconds)})
