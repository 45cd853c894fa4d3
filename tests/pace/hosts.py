"""A host's gate as tests use it: checks that run one after the other, or as many as there is room for."""

from app.codes import Code
from app.gate import Gate
from app.load import Way
from app.model import Encryption

WAY: Way = (465, Encryption.SSL)
OTHER: Way = (587, Encryption.STARTTLS)


def end(gate: Gate, code: Code, now: float, times: int = 1, way: Way = WAY) -> None:
    """Run checks one after the other to an end."""
    for _ in range(times):
        gate.start(now)
        gate.in_use -= 1
        gate.observe(code, way, now)


def fill(gate: Gate, now: float) -> int:
    """Start as many checks as there is room for."""
    count = 0
    while gate.room(now) > 0:
        gate.start(now)
        count += 1
    return count


def banned(at: float, refusals: int = 10) -> Gate:
    gate = Gate()
    end(gate, Code.OK, at)
    end(gate, Code.INVALID_CREDENTIALS, at, times=refusals)
    end(gate, Code.CONNECTION_REFUSED, at)
    assert gate.shut
    return gate
