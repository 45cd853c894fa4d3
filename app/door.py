"""I/O: by what a mail host is paced: which of its names and addresses stand for one machine."""

import asyncio
from dataclasses import dataclass

from app.egress import is_let_through
from app.intake.address import organisation_of
from app.intake.presets import Preset, find_preset_by_host
from app.login.check import Tools
from app.login.resolve import ResolveError


@dataclass(frozen=True, slots=True)
class Door:
    """By what a host is paced. `is_own`: the operator lets its network through. `resolve_ms`: what finding it took."""

    name: str
    is_big: bool = False
    is_own: bool = False
    resolve_ms: int = 0


async def find_door(host: str, preset: Preset | None, tools: Tools) -> Door:
    """Return by what a host is paced: its provider, else its address, else, where it has none, its name.

    Many domains have names of their own for one machine, which counts what comes from us all the same.
    """
    if preset is not None and (preset.owns(host) or preset is find_preset_by_host(host)):
        return Door(preset.slug, is_big=True)
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    try:
        addresses = await tools.resolver.addresses(host)
    except ResolveError:
        return Door(organisation_of(host))
    name = min(addresses, key=lambda address: (":" in address, address))
    is_own = is_let_through(name, tools.egress)
    return Door(name, is_own=is_own, resolve_ms=round((loop.time() - began_at) * 1000))
