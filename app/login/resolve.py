"""I/O: names to addresses, and the mail records of a domain; stage resolve.

Addresses come from the system (hosts file included) in a thread pool of our own, since the loop's default pool has
six threads; or from `DNS_SERVERS` where they are set. Each name is asked for once at a time, answers are kept
for a minute, refusals for ten seconds.
"""

import asyncio
import functools
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver

from app.checked import FailureKind

THREADS: Final = 32
KEEP_SECONDS: Final = 60.0
KEEP_FAILURE_SECONDS: Final = 10.0
MOST_NAMES: Final = 20_000
RESOLUTION_DELAY_SECONDS: Final = 0.3
"""How long addresses of one family wait for a name server that is silent about the other (RFC 8305, section 3)."""

_NO_SUCH_NAME: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


class ResolveError(Exception):
    """A name has no answer. `kind`: NAME_NOT_FOUND or NAME_TEMPORARY."""

    def __init__(self, kind: FailureKind) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class SrvRecord:
    """One SRV answer (RFC 2782). A target of "." means that the service is not offered (RFC 6186, 3.4)."""

    target: str
    port: int
    priority: int
    weight: int


class Resolver:
    """Looks names up, each once at a time, and remembers for a while."""

    def __init__(self, servers: Sequence[str] = (), timeout_seconds: float = 10.0) -> None:
        """`servers`: addresses, or address:port of IPv4, of name servers to ask; empty: the system's."""
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="resolve")
        self._timeout_seconds = timeout_seconds
        self._uses_system = not servers
        self._servers = servers
        self._records: dns.asyncresolver.Resolver | None = None
        self._kept: dict[tuple[str, str], tuple[float, Any]] = {}
        self._asked: dict[tuple[str, str], asyncio.Future[Any]] = {}

    async def addresses(self, host: str) -> list[str]:
        """Return the addresses of `host` in the order of preference; a literal address stands for itself.

        Odd spellings of IPv4 (`127.1`, `0x7f.1`, `2130706433`) become what would be dialled.

        Raises:
            ResolveError: nothing found, or the name servers could not say.
        """
        name = to_ascii(host)
        if not name:
            raise ResolveError(FailureKind.NAME_NOT_FOUND)
        literal = read_literal(name)
        if literal:
            return [literal]
        ask = self._ask_system if self._uses_system else self._ask_servers
        found: list[str] = await self.remember("address", name, ask)
        return found

    async def mx(self, domain: str) -> list[str]:
        """Return the mail hosts of `domain`, the most preferred first; empty where it has none."""
        found: list[str] = await self.remember("mx", to_ascii(domain), self._ask_mx)
        return found

    async def srv(self, name: str) -> list[SrvRecord]:
        """Return the SRV records of `name` such as `_imaps._tcp.example.com`, the most preferred first."""
        found: list[SrvRecord] = await self.remember("srv", to_ascii(name), self._ask_srv)
        return found

    async def aclose(self) -> None:
        """Stop; whoever still waits for an answer is cancelled."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        under_way = list(self._asked.values())
        for asked in under_way:
            asked.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def remember(
        self, kind: str, name: str, ask: Callable[[str], Awaitable[Any]], timeout_seconds: float = 0.0
    ) -> Any:
        """Answer from memory, or join the question that is under way, or ask; failures are kept for a while too.

        `timeout_seconds` 0: as long as a name may take.
        """
        loop = asyncio.get_running_loop()
        key = (kind, name)
        kept = self._kept.get(key)
        if kept is not None and kept[0] > loop.time():
            if isinstance(kept[1], ResolveError):
                raise ResolveError(kept[1].kind)
            return kept[1]
        asked = self._asked.get(key)
        if asked is None:
            asked = loop.create_task(self._answer(key, ask, timeout_seconds or self._timeout_seconds))
            self._asked[key] = asked
        # One caller's deadline must not take the answer from the others.
        return await asyncio.shield(asked)

    async def _answer(self, key: tuple[str, str], ask: Callable[[str], Awaitable[Any]], timeout_seconds: float) -> Any:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_seconds):
                answer = await ask(key[1])
        except TimeoutError:
            error = ResolveError(FailureKind.NAME_TEMPORARY)
            self._keep(key, loop.time() + KEEP_FAILURE_SECONDS, error)
            raise error from None
        except ResolveError as error:
            self._keep(key, loop.time() + KEEP_FAILURE_SECONDS, error)
            raise
        finally:
            # A failure that nobody waits for any more is no defect.
            asked = self._asked.pop(key)
            asked.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._keep(key, loop.time() + KEEP_SECONDS, answer)
        return answer

    def _keep(self, key: tuple[str, str], until: float, answer: Any) -> None:
        if len(self._kept) >= MOST_NAMES:
            self._kept.clear()
        self._kept[key] = (until, answer)

    async def _ask_system(self, name: str) -> list[str]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._pool, _getaddrinfo, name)
        except socket.gaierror as error:
            is_final = error.errno in _NO_SUCH_NAME
            raise ResolveError(FailureKind.NAME_NOT_FOUND if is_final else FailureKind.NAME_TEMPORARY) from None
        except (UnicodeError, OSError):
            raise ResolveError(FailureKind.NAME_NOT_FOUND) from None
        return found

    async def _ask_servers(self, name: str) -> list[str]:
        questions = [asyncio.create_task(self._query(name, kind)) for kind in ("AAAA", "A")]
        try:
            answered, _ = await asyncio.wait(questions, return_when=asyncio.FIRST_COMPLETED)
            is_known = any(question.exception() is None and question.result() for question in answered)
            await asyncio.wait(questions, timeout=RESOLUTION_DELAY_SECONDS if is_known else None)
        finally:
            for question in questions:
                question.cancel()
        answers = await asyncio.gather(*questions, return_exceptions=True)
        found = [record.address for answer in answers if not isinstance(answer, BaseException) for record in answer]
        if not found:
            failures = [answer for answer in answers if isinstance(answer, ResolveError)]
            is_temporary = any(failure.kind is FailureKind.NAME_TEMPORARY for failure in failures)
            raise ResolveError(FailureKind.NAME_TEMPORARY if is_temporary else FailureKind.NAME_NOT_FOUND)
        return found

    async def _ask_mx(self, domain: str) -> list[str]:
        records = sorted(await self._query(domain, "MX"), key=lambda record: int(record.preference))
        return [host for record in records if (host := _text(record.exchange))]

    async def _ask_srv(self, name: str) -> list[SrvRecord]:
        records = [
            SrvRecord(_text(record.target), record.port, record.priority, record.weight)
            for record in await self._query(name, "SRV")
        ]
        return sorted(records, key=lambda record: (record.priority, -record.weight))

    async def _query(self, name: str, kind: str) -> Sequence[Any]:
        """Ask the name servers; an empty answer is empty.

        Raises:
            ResolveError: the name does not exist, or nobody could say.
        """
        try:
            answer = await self._dns().resolve(name, kind, raise_on_no_answer=False, search=False)
        except (dns.resolver.NXDOMAIN, dns.exception.SyntaxError, dns.exception.FormError):
            raise ResolveError(FailureKind.NAME_NOT_FOUND) from None
        except (dns.exception.DNSException, OSError, UnicodeError):
            raise ResolveError(FailureKind.NAME_TEMPORARY) from None
        return list(answer.rrset or ())

    def _dns(self) -> dns.asyncresolver.Resolver:
        if self._records is None:
            try:
                self._records = dns.asyncresolver.Resolver(configure=self._uses_system)
            except dns.resolver.NoResolverConfiguration:
                self._records = dns.asyncresolver.Resolver(configure=False)
            if not self._uses_system:
                self._records.nameservers = [_name_server(server) for server in self._servers]
            self._records.lifetime = self._timeout_seconds / 2
        return self._records


@functools.lru_cache(maxsize=4096)
def to_ascii(host: str) -> str:
    """Return a host as DNS writes it: lower case, A-labels (RFC 5891), no final dot; empty if it cannot be one."""
    name = host.strip().strip("[]").rstrip(".")
    try:
        name = name.encode("ascii").decode() if name.isascii() else dns.name.from_unicode(name).to_text(True)
    except (UnicodeError, dns.exception.DNSException):
        return ""
    is_name = 0 < len(name) <= 253 and all(0 < len(label) <= 63 for label in name.split("."))
    return name.lower() if is_name and "\0" not in name and " " not in name else ""


@functools.lru_cache(maxsize=4096)
def read_literal(name: str) -> str:
    """Return the address that `name` spells, in the usual spelling; empty: it is a name."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    if name[-1].isdigit() or name.rpartition(".")[2].startswith("0x"):
        try:
            return socket.inet_ntoa(socket.inet_aton(name))
        except OSError:
            return ""
    return ""


def _getaddrinfo(name: str) -> list[str]:
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _text(name: Any) -> str:
    return str(name).rstrip(".")


def _name_server(server: str) -> Any:
    address, colon, port = server.rpartition(":")
    if colon and "." in address:
        return dns.nameserver.Do53Nameserver(address, int(port))
    return server
