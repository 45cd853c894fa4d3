"""I/O: a name server on the loopback that follows a script: records by name and type, silence, failure, second answers.

    names = {"mail.example.com A": "192.0.2.7", "example.com MX": ["10 mx.example.com."], "slow.example.com A": SILENT}

A name that is not in the script does not exist; a name of which another type is in it has an empty answer.
"""

import asyncio
import contextlib
import struct
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

SILENT: Final = "silent"
FAIL: Final = "fail"
REFUSE: Final = "refuse"
NOTHING: Final = "nothing"
CUT: Final = "cut "
"""Before a record: over UDP the answer is cut off, and must be asked for again over TCP."""

Answer = str | Sequence[str]
_CODES: Final = {FAIL: dns.rcode.SERVFAIL, REFUSE: dns.rcode.REFUSED}


@dataclass
class Turns:
    """Answers that follow each other; the last one stays."""

    answers: list[Answer]

    def next(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


Script = Mapping[str, Answer | Turns]


@dataclass
class Names:
    """A running name server. `address`: as DNS_SERVERS takes it. `asked`: how often for each name and type."""

    address: str
    script: Script
    asked: Counter[str] = field(default_factory=Counter)

    @property
    def where(self) -> tuple[str, int]:
        host, _, port = self.address.rpartition(":")
        return host, int(port)

    def answer(self, question: dns.message.Message, *, is_udp: bool) -> dns.message.Message | None:
        asked = question.question[0]
        name = asked.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(asked.rdtype)
        self.asked[f"{name} {kind}"] += 1
        scripted = self.script.get(f"{name} {kind}", "")
        words = scripted.next() if isinstance(scripted, Turns) else scripted
        reply = dns.message.make_response(question, recursion_available=True)
        if words == SILENT:
            return None
        if isinstance(words, str) and words in _CODES:
            reply.set_rcode(_CODES[words])
        elif not words and not any(key.startswith(f"{name} ") for key in self.script):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        elif not words and f"{name} CNAME" in self.script:
            self._follow(reply, asked.name, kind)
        elif words and words != NOTHING:
            records = [words] if isinstance(words, str) else list(words)
            if is_udp and any(record.startswith(CUT) for record in records):
                reply.flags |= dns.flags.TC
            else:
                texts = [record.removeprefix(CUT) for record in records]
                reply.answer.append(dns.rrset.from_text(asked.name, 60, "IN", asked.rdtype, *texts))
        return reply

    def _follow(self, reply: dns.message.Message, name: dns.name.Name, kind: str) -> None:
        """Answer with an alias, and with what its target has."""
        target = str(self.script[f"{name.to_text(omit_final_dot=True).lower()} CNAME"])
        reply.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", target))
        found = self.script.get(f"{target.rstrip('.')} {kind}")
        if isinstance(found, str):
            reply.answer.append(dns.rrset.from_text(target, 60, "IN", kind, found))


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, names: Names) -> None:
        self._names = names
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        reply = self._names.answer(dns.message.from_wire(data), is_udp=True)
        if reply is not None and self._transport is not None:
            self._transport.sendto(reply.to_wire(), addr)


@contextlib.asynccontextmanager
async def serve_names(script: Script) -> AsyncIterator[Names]:
    """Run a name server that answers from `script`, which may be changed while it runs."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            size = struct.unpack("!H", await reader.readexactly(2))[0]
            reply = names.answer(dns.message.from_wire(await reader.readexactly(size)), is_udp=False)
            if reply is not None:
                data = reply.to_wire()
                writer.write(struct.pack("!H", len(data)) + data)
                await writer.drain()
        writer.close()

    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    where = server.sockets[0].getsockname()
    names = Names(f"127.0.0.1:{where[1]}", script)
    transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(names), local_addr=where)
    try:
        yield names
    finally:
        transport.close()
        server.close()
