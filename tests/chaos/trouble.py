"""I/O: what is done to the service at work: processes killed, stopped, sent away; servers killed and emptied."""

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.chaos.stage import Stage

Trouble = Callable[[Stage, random.Random], Awaitable[str]]


async def kill_worker(stage: Stage, dice: random.Random) -> str:
    return _signal_worker(stage, dice, signal.SIGKILL)


async def end_worker(stage: Stage, dice: random.Random) -> str:
    return _signal_worker(stage, dice, signal.SIGTERM)


async def stop_worker(stage: Stage, dice: random.Random) -> str:
    """Stop a worker for longer or shorter than it takes to be given up, and let it go on."""
    name, process = dice.choice([entry for entry in stage.service.running.items() if entry[0] != "api"])
    if process.returncode is not None:
        return ""
    seconds = dice.choice([2, 13])
    process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(seconds)
    if process.returncode is None:
        process.send_signal(signal.SIGCONT)
    return f"{name} stopped for {seconds} s"


async def kill_api(stage: Stage, _dice: random.Random) -> str:
    process = stage.service.running["api"]
    if process.returncode is not None:
        return ""
    process.send_signal(signal.SIGKILL)
    return "api SIGKILL"


async def kill_postgres(stage: Stage, dice: random.Random) -> str:
    return _kill_server(stage, dice, 0, signal.SIGKILL)


async def restart_postgres(stage: Stage, dice: random.Random) -> str:
    return _kill_server(stage, dice, 0, signal.SIGINT)


async def kill_valkey(stage: Stage, dice: random.Random) -> str:
    return _kill_server(stage, dice, 1, signal.SIGKILL)


async def empty_valkey(stage: Stage, _dice: random.Random) -> str:
    try:
        async with Redis.from_url(stage.ground.redis_url) as redis:
            await redis.flushall()
    except (RedisError, OSError):
        return ""  # it is dead just now
    return "FLUSHALL"


TROUBLES: tuple[Trouble, ...] = (
    *(kill_worker, kill_worker, kill_worker, end_worker, end_worker, stop_worker, stop_worker),
    *(kill_api, kill_postgres, restart_postgres, kill_valkey, empty_valkey),
)


def _signal_worker(stage: Stage, dice: random.Random, number: signal.Signals) -> str:
    name, process = dice.choice([entry for entry in stage.service.running.items() if entry[0] != "api"])
    if process.returncode is not None:
        return ""
    process.send_signal(number)
    return f"{name} {number.name}"


def _kill_server(stage: Stage, dice: random.Random, place: int, number: signal.Signals) -> str:
    server = stage.ground.servers[place]
    if server.process.poll() is not None:
        return ""
    seconds = dice.choice([0, 2, 6])
    stage.away_until = time.monotonic() + seconds
    server.process.send_signal(number)
    return f"{server.name} {number.name}, away for {seconds} s"
