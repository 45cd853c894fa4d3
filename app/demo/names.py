"""I/O: a name server that knows the demonstration's hosts, all of them on the loopback, and no others."""

import asyncio
from collections.abc import Collection
from typing import Final, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

LOOPBACK: Final = "127.0.0.1"


class NameServer(asyncio.DatagramProtocol):
    """Answers A questions for `hosts`; every other name does not exist."""

    def __init__(self, hosts: Collection[str], elsewhere: dict[str, str]) -> None:
        """`elsewhere`: hosts with an address other than the loopback's."""
        self._addresses = dict.fromkeys(hosts, LOOPBACK) | elsewhere
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        try:
            question = dns.message.from_wire(data)
        except dns.exception.DNSException:
            return
        if self._transport is not None and question.question:
            self._transport.sendto(self._answer(question).to_wire(), addr)

    def _answer(self, question: dns.message.Message) -> dns.message.Message:
        asked = question.question[0]
        answer = dns.message.make_response(question, recursion_available=True)
        answer.flags |= dns.flags.AA
        address = self._addresses.get(asked.name.to_text(omit_final_dot=True).lower())
        if address is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif asked.rdtype == dns.rdatatype.A:
            answer.answer.append(dns.rrset.from_text(asked.name, 60, "IN", "A", address))
        return answer


async def serve_names(hosts: Collection[str], elsewhere: dict[str, str]) -> tuple[asyncio.DatagramTransport, str]:
    """Start a name server. Returns what closes it, and its address as DNS_SERVERS takes it."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: NameServer(hosts, elsewhere), local_addr=(LOOPBACK, 0)
    )
    return transport, f"{LOOPBACK}:{transport.get_extra_info('sockname')[1]}"
