"""I/O: one side of a row at one server: its turn, the login, and what may be meant where nobody was there.

The pace learns from every dial; what the host has shown of late may say more of a refusal than the refusal does.
"""

import asyncio
from dataclasses import dataclass, replace
from typing import Final

from msgspec import structs

from app.checked import Checked, Failure, FailureKind
from app.codes import Code
from app.diagnose.diagnose import Diagnosis, diagnose_checked
from app.door import Door, find_door
from app.intake.candidates import describe_corrections, list_corrections
from app.intake.presets import find_preset, find_preset_by_host
from app.login.check import Tools, check_login
from app.model import Login, Server, Stage
from app.pace import TURN_SECONDS, NoTurn
from app.task import SideTask
from app.verdict import SideVerdict, judge

CORRECTION_TURN_SECONDS: Final = 30.0
"""How long a correction waits for its turn: what was dialled before is worth more than a slot."""

_LEFT_ALONE: Final = {
    Code.IP_BLOCKED: "The host began to refuse our address after several failed logins of other mailboxes, and has not "
    "judged this one's password.",
}
_UNANSWERED: Final = "The host has taken none of the logins that were tried there for a while, so this one was spared."
REFUSES_US: Final = frozenset(
    {Code.CONNECTION_REFUSED, Code.CONNECTION_CLOSED, Code.CONNECTION_TIMEOUT, Code.HOST_UNREACHABLE}
)


async def check_at_server(task: SideTask) -> SideVerdict:
    """Dial the side's server, then, where that ended before any credential was sent, what may be meant instead.

    Raises:
        NoTurn: the host has none for us now; nothing was sent.
    """
    protocol, side, kit, provider = task.protocol, task.side, task.kit, task.provider
    assert side.encryption is not None
    given = Server(side.host, side.port, side.encryption)
    preset = find_preset_by_host(side.host) or (find_preset(provider) if provider else None)
    door = await find_door(side.host, preset, kit.tools)
    shut = kit.pace.end_for(door.name, protocol)
    if shut is not None:
        failure = Failure(FailureKind.REFUSED, Stage.CONNECT, detail="not dialled: the host is left alone")
        return task.judge(failure, Diagnosis(shut, "pace:shut", _LEFT_ALONE.get(shut, _UNANSWERED)), is_final=True)
    first = await _dial(task, given, door, TURN_SECONDS, task.timeout_seconds)
    dials, spent_seconds = 1, first.seconds
    # Known by port and encryption: STARTTLS where TLS is spoken from the first byte is silence too.
    is_host_known = kit.pace.knows(door.name, protocol, (given.port, given.encryption))
    is_moody = is_host_known and first.diagnosis.code in REFUSES_US
    failure_of_first = first.checked.failure
    if failure_of_first is not None and task.auto_correct and not first.is_settled and not is_moody:
        for server in list_corrections(protocol, given, failure_of_first, preset):
            if spent_seconds >= task.timeout_seconds:
                break
            try:
                left_seconds = task.timeout_seconds - spent_seconds
                dialled = await _dial(task, server, door, CORRECTION_TURN_SECONDS, left_seconds)
            except NoTurn:
                if not first.diagnosis.is_retryable:
                    raise
                break  # it is tried again anyhow, and counted so
            dials += 1
            spent_seconds += dialled.seconds
            if dialled.is_settled:
                used = structs.replace(side, host=server.host, port=server.port, encryption=server.encryption)
                mended = describe_corrections(protocol, given, server)
                return judge(provider, used, dialled.checked, dialled.diagnosis, corrections=mended, dials=dials)
    diagnosis = first.diagnosis
    is_banned = kit.pace.shut_for(door.name, protocol) is Code.IP_BLOCKED
    if is_banned and diagnosis.code in REFUSES_US and not first.is_settled:
        diagnosis = Diagnosis(Code.IP_BLOCKED, "pace:banned", _LEFT_ALONE[Code.IP_BLOCKED])
    return judge(
        provider,
        side,
        first.checked,
        diagnosis,
        dials=dials,
        is_final=kit.pace.is_given_up(door.name, protocol),
        is_host_known=is_host_known,
    )


@dataclass(frozen=True, slots=True)
class _Dialled:
    """What a dial came to. `seconds`: without the wait for its turn."""

    checked: Checked
    diagnosis: Diagnosis
    seconds: float

    @property
    def is_settled(self) -> bool:
        """Whether the login works, or its credential may have been sent: nothing else is to be tried."""
        return self.checked.is_ok or self.checked.trace.sent_credentials


async def _dial(task: SideTask, server: Server, door: Door, turn_seconds: float, left_seconds: float) -> _Dialled:
    """Wait for a turn, check one login at one server, and let the pace learn from it.

    Raises:
        NoTurn: none came within `turn_seconds`.
    """
    row, protocol, side, pace = task.row, task.protocol, task.side, task.kit.pace
    login = Login(protocol, server, side.username, task.secret, task.is_token, task.provider, side.sources)
    way = (server.port, server.encryption)
    loop = asyncio.get_running_loop()
    task.progress.arrive(protocol)
    async with pace.turn(
        *(door.name, protocol),
        is_big=door.is_big,
        is_own=door.is_own,
        pace_key=row.pace_key,
        host=server.host,
        way=way,
        seconds=turn_seconds,
    ):
        began_at = loop.time()
        tools = _fit(task.kit.tools, left_seconds, row.tries)
        checked = await check_login(login, tools, address=side.address, on_cut=task.note_cut)
        seconds = loop.time() - began_at
    diagnosis = diagnose_checked(checked, provider=task.provider, is_token=task.is_token)
    pace.observe(door.name, protocol, diagnosis.code, way)
    return _Dialled(_add_resolve_ms(checked, door.resolve_ms), diagnosis, seconds)


def _fit(tools: Tools, seconds: float, tries: int) -> Tools:
    """Return tools whose checks end within what is left of the row's time, and hurry nobody more than they must."""
    deadlines = tools.deadlines.stretch(tries)
    if seconds < deadlines.total:
        deadlines = replace(deadlines, total=max(seconds, 0.1))
    return tools if deadlines is tools.deadlines else replace(tools, deadlines=deadlines)


def _add_resolve_ms(checked: Checked, milliseconds: int) -> Checked:
    timings = checked.trace.timings
    if not milliseconds:
        return checked
    whole = timings | {Stage.RESOLVE.value: timings.get(Stage.RESOLVE.value, 0) + milliseconds}
    return replace(checked, trace=replace(checked.trace, timings=whole))
