"""Pure: may we connect there? Judges the address about to be dialled, never a name.

The table is our own: `ipaddress.is_global` says yes to 224.0.0.1, to fec0::1 and to NAT64's form of loopback,
and differs between Python versions. Forms of IPv6 that carry an IPv4 address are unwrapped and judged as that.
"""

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from app.settings import MAIL_PORTS, Network, Settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

CLOSED_NETWORKS: Final = tuple(
    (ipaddress.ip_network(network), what)
    for network, what in (
        ("0.0.0.0/8", "this network (RFC 1122, section 3.2.1.3)"),
        ("10.0.0.0/8", "a private network (RFC 1918)"),
        ("100.64.0.0/10", "carrier-grade NAT (RFC 6598)"),
        ("127.0.0.0/8", "loopback (RFC 1122, section 3.2.1.3)"),
        ("169.254.0.0/16", "link-local, home of cloud metadata (RFC 3927)"),
        ("172.16.0.0/12", "a private network (RFC 1918)"),
        ("192.0.0.0/24", "protocol assignments (RFC 6890)"),
        ("192.0.2.0/24", "documentation (RFC 5737)"),
        ("192.31.196.0/24", "AS112 (RFC 7535)"),
        ("192.52.193.0/24", "AMT relays (RFC 7450)"),
        ("192.88.99.0/24", "6to4 relays (RFC 7526)"),
        ("192.168.0.0/16", "a private network (RFC 1918)"),
        ("192.175.48.0/24", "AS112 (RFC 7534)"),
        ("198.18.0.0/15", "benchmarking (RFC 2544)"),
        ("198.51.100.0/24", "documentation (RFC 5737)"),
        ("203.0.113.0/24", "documentation (RFC 5737)"),
        ("224.0.0.0/4", "multicast (RFC 5771)"),
        ("240.0.0.0/4", "reserved (RFC 1112, section 4)"),
        ("168.63.129.16/32", "a cloud's own services (Azure wire server)"),
        ("::/128", "no address (RFC 4291, section 2.5.2)"),
        ("::1/128", "loopback (RFC 4291, section 2.5.3)"),
        ("64:ff9b:1::/48", "local NAT64 (RFC 8215)"),
        ("100::/64", "discard only (RFC 6666)"),
        ("100:0:0:1::/64", "dummy prefix (RFC 9780)"),
        ("2001::/23", "protocol assignments, Teredo among them (RFC 2928, RFC 4380)"),
        ("2001:db8::/32", "documentation (RFC 3849)"),
        ("2620:4f:8000::/48", "AS112 (RFC 7534)"),
        ("3fff::/20", "documentation (RFC 9637)"),
        ("5f00::/16", "segment routing (RFC 9602)"),
        ("fc00::/7", "unique-local, home of cloud metadata (RFC 4193)"),
        ("fe80::/10", "link-local (RFC 4291, section 2.5.6)"),
        ("fec0::/10", "site-local (RFC 3879)"),
        ("ff00::/8", "multicast (RFC 4291, section 2.7)"),
    )
)
"""Networks that are nobody's public mail host, each with its source."""

GLOBAL_UNICAST: Final = ipaddress.ip_network("2000::/3")
"""All that IPv6 has handed out to the public (RFC 4291, section 2.4; IANA's registry)."""

EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - compared with, not listened on

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE: Final = ipaddress.ip_network("::/96")
_TRANSLATED: Final = ipaddress.ip_network("::ffff:0:0:0/96")


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """What the operator lets through, and what never: `own_listeners` are (address, port) of this service.

    One is equal to itself alone, since judgements are remembered by it: to hash what it holds costs more than they do.

    `0.0.0.0` and `::` among them stand for loopback too; the machine's other addresses are listed one by one.
    """

    allow_networks: tuple[Network, ...] = ()
    allow_ports: frozenset[int] = frozenset()
    own_listeners: frozenset[tuple[str, int]] = frozenset()

    @classmethod
    def from_settings(cls, settings: Settings, own_listeners: Collection[tuple[str, int]] = ()) -> "Policy":
        return cls(settings.allow_networks, settings.allow_ports, frozenset(own_listeners))


def refusal(address: str, port: int, policy: Policy, usual_ports: Collection[int] = MAIL_PORTS) -> str:
    """Return why `address` and `port` may not be dialled, as a sentence; empty: they may."""
    return _refusal(address, port, policy, frozenset(usual_ports))


@lru_cache(maxsize=4096)
def _refusal(address: str, port: int, policy: Policy, usual_ports: frozenset[int]) -> str:
    """Judge; thousands of mailboxes are at the same few addresses."""
    if port not in usual_ports and port not in policy.allow_ports:
        return f"Port {port} is none that mail servers use."
    try:
        literal = ipaddress.ip_address(address)
    except ValueError:
        return "That is not an IP address."
    if any(_is_own(form, port, policy) for form in (literal, *unwrap(literal))):
        return f"{address}, port {port}, is this service itself."
    if any(_holds(network, literal) for network in policy.allow_networks):
        return ""
    for inner in unwrap(literal):
        if any(_holds(network, inner) for network in policy.allow_networks):
            continue
        what = _closed(inner)
        if what:
            return f"{address} is {what}."
    return ""


@lru_cache(maxsize=4096)
def is_let_through(address: str, policy: Policy) -> bool:
    """Tell whether an address is in a network that the operator named: his own, or one that he answers for."""
    try:
        literal = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(_holds(network, literal) for network in policy.allow_networks)


def unwrap(address: Address) -> tuple[Address, ...]:
    """Return the addresses that `address` stands for: the IPv4 one inside where there is one, else itself.

    Mapped (RFC 4291, 2.5.5.2), compatible (2.5.5.1), translated (RFC 2765), NAT64 (RFC 6052), 6to4 (RFC 3056).
    """
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.scope_id is not None:
        address = ipaddress.IPv6Address(int(address))
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    low = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _NAT64 or address in _TRANSLATED:
        return (low,)
    if address in _COMPATIBLE and int(address) > 1:
        return (low,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    return (address,)


def _is_own(address: Address, port: int, policy: Policy) -> bool:
    if (str(address), port) in policy.own_listeners:
        return True
    is_here = address.is_loopback or address.is_unspecified
    return is_here and any((every, port) in policy.own_listeners for every in EVERYWHERE)


def _closed(address: Address) -> str:
    for network, what in CLOSED_NETWORKS:
        if _holds(network, address):
            return what
    if isinstance(address, ipaddress.IPv6Address) and address not in GLOBAL_UNICAST:
        return "outside the public part of IPv6 (RFC 4291, section 2.4)"
    return ""


def _holds(network: Network, address: Address) -> bool:
    return network.version == address.version and address in network
