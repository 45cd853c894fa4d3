"""I/O: autoconfig documents, as Thunderbird reads them.

    <clientConfig><emailProvider><incomingServer type="imap"><hostname>imap.example.com</hostname>…

Fetched with the address guard between us and every address that is dialled, redirects included; small, soon, and
without the XML that expands (no document type, no entities). What came in clear may have been written by anyone
on the way, so it is believed only of hosts of the domain's own.
Source: wiki.mozilla.org, Thunderbird:Autoconfiguration:ConfigFileFormat (read 2026-11-21).
"""

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from app.egress import Policy, refusal
from app.intake.address import is_host, organisation_of
from app.login.resolve import ResolveError, Resolver, read_literal, to_ascii
from app.model import Encryption, Protocol, Server

LIMIT_BYTES: Final = 64 * 1024
FETCH_SECONDS: Final = 6.0
WEB_PORTS: Final = frozenset({80, 443})
PLACES: Final = (
    "https://autoconfig.{domain}/mail/config-v1.1.xml",
    "https://{domain}/.well-known/autoconfig/mail/config-v1.1.xml",
    "http://autoconfig.{domain}/mail/config-v1.1.xml",
)
_MODES: Final = {"ssl": Encryption.SSL, "starttls": Encryption.STARTTLS}
_KINDS: Final = {("incomingServer", "imap"): Protocol.IMAP, ("outgoingServer", "smtp"): Protocol.SMTP}
_ADDRESS: Final = "%EMAILADDRESS%"
_LOCAL_PART: Final = "%EMAILLOCALPART%"
_DOMAIN: Final = "%EMAILDOMAIN%"
_PLACES: Final = re.compile(f"{_ADDRESS}|{_LOCAL_PART}|{_DOMAIN}")
LONGEST_USERNAME: Final = 200


@dataclass(frozen=True, slots=True)
class Told:
    """A server that a document names. `username`: how names are made of addresses there; empty: they are addresses."""

    protocol: Protocol
    server: Server
    username: str = ""


async def fetch_autoconfig(
    domain: str, resolver: Resolver, policy: Policy, places: Sequence[str] = PLACES, ports: frozenset[int] = WEB_PORTS
) -> list[Told]:
    """Return the servers that the domain's own document names, in its order; empty: there is none to be had."""
    connector = aiohttp.TCPConnector(resolver=_Guarded(resolver, policy, ports), limit=4, force_close=True)
    timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, auto_decompress=False, headers={"Accept-Encoding": "identity"}
    ) as session:
        for place in places:
            document, is_secure = await _fetch(session, place.format(domain=domain))
            servers = [
                told
                for told in parse_autoconfig(document, domain)
                if is_secure or organisation_of(told.server.host) == organisation_of(domain)
            ]
            if servers:
                return servers
    return []


def parse_autoconfig(document: bytes, domain: str) -> list[Told]:
    """Read a document; what cannot be read is empty. Servers in clear are left out: they are for those who ask."""
    try:
        text = document.decode("utf-8-sig")  # ourselves, so that no other encoding hides what is looked for
    except UnicodeDecodeError:
        return []
    if not text or "<!DOCTYPE" in text.upper() or "<!ENTITY" in text.upper():
        return []
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - no document type, so nothing that expands
    except (ElementTree.ParseError, ValueError):
        return []
    found = []
    for element in root.iter():
        protocol = _KINDS.get((element.tag, (element.get("type") or "").lower()))
        if protocol is None:
            continue
        host = (element.findtext("hostname") or "").strip().replace(_DOMAIN, domain).lower()
        port = (element.findtext("port") or "").strip()
        mode = _MODES.get((element.findtext("socketType") or "").strip().lower())
        if mode is not None and is_host(host) and (number := _read_port(port)):
            found.append(Told(protocol, Server(host, number, mode), _read_username(element.findtext("username") or "")))
    return found


def fill_username(template: str, address: str) -> str:
    """Return the user name that a document's template makes of an address."""
    local_part, _, domain = address.rpartition("@")
    parts = {_ADDRESS: address, _LOCAL_PART: local_part, _DOMAIN: domain}
    return _PLACES.sub(lambda found: parts[found[0]], template)


def _read_username(text: str) -> str:
    """Return how user names are made; empty where they are addresses, or where all would be the same."""
    text = text.strip()
    is_good = len(text) <= LONGEST_USERNAME and text.isprintable() and (_LOCAL_PART in text or _ADDRESS in text)
    return text if is_good and text not in {_ADDRESS, f"{_LOCAL_PART}@{_DOMAIN}"} else ""


def _read_port(text: str) -> int:
    """Return a port; 0: it is none."""
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 5 else 0
    return number if number <= 65535 else 0


async def _fetch(session: aiohttp.ClientSession, url: str) -> tuple[bytes, bool]:
    """Return a document and whether it came by https all the way, following two redirects at most; empty: none."""
    place = URL(url)
    is_secure = True
    for _ in range(3):
        is_secure &= place.scheme == "https"
        if not is_guarded(place):
            break
        try:
            async with session.get(place, allow_redirects=False) as answer:
                if answer.status in {301, 302, 303, 307, 308}:
                    place = place.join(URL(answer.headers.get("Location", "")))
                    continue
                is_plain = answer.headers.get("Content-Encoding", "identity") == "identity"
                return (await _read(answer) if answer.status == 200 and is_plain else b"", is_secure)
        except (aiohttp.ClientError, OSError, ValueError):
            break
    return b"", False


def is_guarded(place: URL) -> bool:
    """Tell whether the guard will see what is dialled: aiohttp asks no resolver about a literal address."""
    return (
        place.scheme in {"http", "https"} and place.host is not None and not read_literal(to_ascii(place.host) or "0")
    )


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    document = b""
    async for chunk in answer.content.iter_chunked(8192):
        document += chunk
        if len(document) > LIMIT_BYTES:
            return b""
    return document


class _Guarded(AbstractResolver):
    """Gives aiohttp only addresses that the guard lets through."""

    def __init__(self, resolver: Resolver, policy: Policy, ports: frozenset[int]) -> None:
        self._resolver = resolver
        self._policy = policy
        self._ports = ports

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 - aiohttp's
    ) -> list[ResolveResult]:
        try:
            addresses = await self._resolver.addresses(host)
        except ResolveError as error:
            raise OSError(f"{host} is not found") from error
        allowed = [address for address in addresses if not refusal(address, port, self._policy, self._ports)]
        if not allowed:
            raise OSError(f"{host} is not to be dialled")
        return [_result(host, address, port) for address in allowed]

    async def close(self) -> None:
        """Nothing is held."""


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return {
        "hostname": host,
        "host": address,
        "port": port,
        "family": family,
        "proto": 0,
        "flags": socket.AI_NUMERICHOST,
    }
