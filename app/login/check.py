"""I/O: one check of one side of a mailbox; place 8 on the line.

resolve -> connect -> tls -> greet -> auth -> select, each with a deadline and a clock. Whatever happens on the
way is told as a value; at most one login is made.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from app.checked import Certificate, Checked, Failure, FailureKind, Reply
from app.egress import Policy
from app.login.connect import dial
from app.login.failure import DialError, Stopped, WireError, translate
from app.login.imap import ImapSession
from app.login.known import REST_SECONDS, SILENCE_SECONDS
from app.login.pin import KnownServer
from app.login.resolve import Resolver, to_ascii
from app.login.resume import ResumingError
from app.login.smtp import SmtpSession
from app.login.tls import TlsContexts, open_contexts
from app.login.trace import Deadlines, Trail
from app.login.turnstile import Turnstile
from app.model import Encryption, Login, Protocol, Stage
from app.settings import Settings

# After these somebody who speaks the protocol still listens.
_TALKING = frozenset(
    {
        FailureKind.REPLY,
        FailureKind.STARTTLS_MISSING,
        FailureKind.LOGIN_MISSING,
        FailureKind.LOGIN_NEEDS_TLS,
    }
)
_BAD_CERTIFICATE = frozenset(
    {FailureKind.CERTIFICATE_EXPIRED, FailureKind.CERTIFICATE_NAME, FailureKind.CERTIFICATE_UNTRUSTED}
)


@dataclass(frozen=True, slots=True)
class Tools:
    """What all checks of a process share. `hostname`: what SMTP servers are greeted with."""

    resolver: Resolver
    egress: Policy
    tls: TlsContexts
    deadlines: Deadlines
    hostname: str
    probe_sender: bool
    turnstile: Turnstile = field(default_factory=Turnstile)


def open_tools(settings: Settings, own_listeners: Collection[tuple[str, int]] = ()) -> Tools:
    """Make what all checks of a process share. `own_listeners`: addresses the guard keeps from being dialled."""
    for name in ("aioimaplib", "aiosmtplib"):
        # Below WARNING they log what is sent, passwords and all.
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.WARNING))
    return Tools(
        resolver=Resolver(settings.dns_servers),
        egress=Policy.from_settings(settings, own_listeners),
        tls=open_contexts(settings.ca_file),
        deadlines=Deadlines(
            total=settings.check_timeout_seconds,
            resolve=settings.connect_timeout_seconds,
            connect=settings.connect_timeout_seconds,
            tls=settings.tls_timeout_seconds,
            greet=settings.greet_timeout_seconds,
            auth=settings.auth_timeout_seconds,
            select=settings.auth_timeout_seconds,
        ),
        hostname=socket.gethostname(),
        probe_sender=settings.probe_sender,
    )


async def close_tools(tools: Tools) -> None:
    """Let go of what `open_tools` made."""
    await tools.resolver.aclose()


async def check_login(
    login: Login, tools: Tools, *, address: str, on_cut: Callable[[bool], None] = lambda _: None
) -> Checked:
    """Try one login at one server and tell how it went.

    `address`: the mailbox's address, for the sender probe. `on_cut`: called when the caller cancels the check, with
    whether credentials may have been sent by then. Raises nothing but CancelledError; when it
    returns, the connection is closed or closing, and no task is left. A timeout after
    `trace.sent_credentials` became true is neither a yes nor a no.
    """
    await tools.turnstile.enter()
    return await _Check(login, tools, address, on_cut).run()


class _Check:
    """One check while it runs."""

    __slots__ = ("_address", "_login", "_on_cut", "_reply", "_session", "_tools", "_trail")

    def __init__(self, login: Login, tools: Tools, address: str, on_cut: Callable[[bool], None]) -> None:
        self._login = login
        self._tools = tools
        self._address = address
        self._on_cut = on_cut
        self._trail = Trail(login.server, tools.deadlines)
        self._session: SmtpSession | ImapSession | None = None
        self._reply: Reply | None = None

    async def run(self) -> Checked:
        failure: Failure | None = None
        trail = self._trail
        trail.start()
        try:
            await self._walk()
            trail.stop()
            await self._part()
        except asyncio.CancelledError:
            if not trail.stop():
                self._on_cut(trail.sent_credentials)
                raise
            failure = Failure(FailureKind.TIMEOUT, trail.stage)
        except Exception as error:  # noqa: BLE001 - whatever a stranger's server makes happen is an answer
            needles = self._session.needles if self._session is not None else ()
            failure = translate(TimeoutError() if trail.stop() else error, trail.stage, needles)
            if isinstance(error, DialError):
                trail.address = error.address
            if failure.kind in _TALKING and isinstance(error, Stopped):
                await self._part()
        finally:
            if self._session is not None:
                self._session.abort()
        if failure is not None and failure.kind in _BAD_CERTIFICATE:
            failure = await self._look_at_certificate(failure)
        return Checked(self._login.protocol, trail.freeze(), failure, self._reply if failure is None else None)

    async def _walk(self) -> None:
        trail, tools = self._trail, self._tools
        trail.enter(Stage.RESOLVE)
        addresses = await tools.resolver.addresses(self._login.server.host)
        name, port, servers = to_ascii(self._login.server.host), self._login.server.port, tools.tls.known
        known = servers.recall(name, port)
        try:
            session = await self._meet(addresses, known)
        except (OSError, WireError, asyncio.CancelledError) as error:
            if known is None or not self._is_about_tls(error):
                raise
            if isinstance(error, asyncio.CancelledError):
                servers.rest(name, port, known, SILENCE_SECONDS)
                raise
            # Perhaps it bears no session that is taken up again. No credential was sent yet.
            servers.rest(name, port, known, REST_SECONDS)
            trail.forget_server()
            session = await self._meet(addresses, None)
        self._reply = await session.log_in()
        if session.tls is not None:
            servers.learn(name, port, session.tls)
        await session.look(self._address if tools.probe_sender else "")

    def _is_about_tls(self, error: BaseException) -> bool:
        """Tell whether a session that was taken up may have ended the check.

        A server can also hang up as the first thing after the handshake, which to us had ended before it had to it.
        """
        trail, session = self._trail, self._session
        if isinstance(error, asyncio.CancelledError):
            return trail.stage is Stage.TLS
        if isinstance(error, WireError) and error.kind is not FailureKind.CLOSED:
            return False
        is_under_tls = session is not None and session.tls is not None
        is_first = not trail.greeting or self._login.server.encryption is Encryption.STARTTLS
        return isinstance(error, ResumingError) or (trail.stage is Stage.GREET and is_under_tls and is_first)

    async def _meet(self, addresses: Sequence[str], known: KnownServer | None) -> SmtpSession | ImapSession:
        """Dial, and come to where the server has said what it offers."""
        trail = self._trail
        if self._session is not None:
            self._session.abort()
        # `dial` keeps its own deadline, to tell which of several failures matters.
        trail.enter(Stage.CONNECT, slack_seconds=1.0)
        patience = trail.seconds_left(Stage.CONNECT)
        sock, trail.address = await dial(addresses, self._login.server.port, self._tools.egress, patience)
        session = self._session = self._open_session(sock, trail)
        await session.secure(self._tools.tls.verify[self._login.protocol], known)
        await session.greet()
        return session

    def _open_session(self, sock: socket.socket, trail: Trail) -> SmtpSession | ImapSession:
        if self._login.protocol is Protocol.SMTP:
            return SmtpSession(sock, self._login, trail, self._tools.hostname)
        return ImapSession(sock, self._login, trail)

    async def _part(self) -> None:
        """Say good-bye where there is somebody to hear it; an answer would tell nothing, and is not waited for."""
        if self._session is None:
            return
        with contextlib.suppress(Exception):
            self._session.say_goodbye()
            await asyncio.sleep(0)  # uvloop sends at the end of a turn what was written in it

    async def _look_at_certificate(self, failure: Failure) -> Failure:
        """Add the refused certificate's names and last day, seen over a second connection without verification."""
        address, server, contexts = self._trail.address, self._login.server, self._tools.tls
        now = asyncio.get_running_loop().time()
        certificate = contexts.recall(address, server, now)
        if certificate is None:
            certificate = await self._peek(address)
            if certificate.expires_at is None:
                return failure
            contexts.remember(address, server, now, certificate)
        self._trail.certificate = certificate
        return replace(failure, certificate=certificate)

    async def _peek(self, address: str) -> Certificate:
        """Shake hands without verification and hang up; nothing but what STARTTLS needs is sent."""
        trail = Trail(self._login.server, self._tools.deadlines)
        patience = self._trail.seconds_left(Stage.TLS)
        session: SmtpSession | ImapSession | None = None
        try:
            async with asyncio.timeout(patience):
                sock, _ = await dial([address], self._login.server.port, self._tools.egress, patience)
                session = self._open_session(sock, trail)
                await session.secure(self._tools.tls.peek)
                return session.peek()
        except Exception:  # noqa: BLE001 - a look that fails leaves the failure as it was
            return Certificate()
        finally:
            if session is not None:
                session.abort()
