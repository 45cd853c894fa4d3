"""I/O: the whole service on a ground of its own, with servers that count logins, for things to be done to it."""

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from app import embedded, supervise
from app.model import Scope
from app.seal import Keyring, new_key_text
from app.settings import Settings
from app.store import workspaces
from app.store.db import connect
from app.store.migrate import migrate
from tests.fakes.counting import Counting, count_logins

WORKERS = 3
DELAY_SECONDS = 2.0
"""What the mail servers take for a login: so that there are always many under way."""
HOSTS = 60
"""One host would bear few logins at a time: many of its passwords are wrong, and the service is polite."""
MARK = "BULKCONNECTRUN"


@dataclass
class Stage:
    """What a run acts upon. `away_until`: until when a server that died is left dead."""

    folder: Path
    mark: str
    ground: embedded.Embedded
    service: supervise.Service
    mail: Counting
    api_key: str
    away_until: float = 0.0
    notes: list[str] = field(default_factory=list)

    def revive(self) -> str:
        return self.ground.revive() if time.monotonic() >= self.away_until else ""

    def accounts(self, names: list[str]) -> list[dict[str, object]]:
        """Return mailboxes as a connect call brings them; each has a password of its own."""
        common = {"smtpEncryption": "none", "imapEncryption": "none"}
        hosts = self.mail.hosts
        ports = {"smtpPort": self.mail.smtp_port, "imapPort": self.mail.imap_port}
        return [
            {
                "smtpEmailAddress": name,
                "smtpPassword": password_of(name, self.mark),
                "smtpHost": hosts[number % len(hosts)],
                "imapHost": hosts[number % len(hosts)],
                **common,
                **ports,
            }
            for number, name in enumerate(names)
        ]

    async def call(self, method: str, path: str, **parts: Any) -> tuple[int, Any]:
        """Call the API until it answers; the service may be away for a while."""
        headers = {"x-api-key": self.api_key, **parts.pop("headers", {})}
        ends_at = time.monotonic() + 90
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                timeout = aiohttp.ClientTimeout(total=20)
                async with (
                    aiohttp.ClientSession(timeout=timeout) as session,
                    session.request(method, self.service.base_url + path, headers=headers, **parts) as answer,
                ):
                    is_json = answer.content_type.endswith("json")
                    body = await answer.json(content_type=None) if is_json else await answer.text()
                    if answer.status not in {409, 429, 500, 503}:
                        return answer.status, body
            if time.monotonic() > ends_at:
                raise TimeoutError(f"{method} {path} is not answered")
            await asyncio.sleep(0.3)


def password_of(name: str, mark: str) -> str:
    """Return a mailbox's password, which occurs nowhere else."""
    return f"pw-{mark}-{name.partition('@')[0]}"


@contextlib.asynccontextmanager
async def set_stage(
    folder: Path,
    say: Callable[[str], None],
    *,
    workers: int = WORKERS,
    network: str = "127.0.0",
    programs: embedded.Programs | None = None,
    more: Mapping[str, str] | None = None,
) -> AsyncIterator[Stage]:
    """Start everything; end everything. `network`: where the mail servers are; `more`: variables besides."""
    mark = secrets.token_hex(6)
    ground = embedded.start(folder / "data", programs)
    try:
        async with count_logins(DELAY_SECONDS, HOSTS, network=network) as mail:
            settings = Settings(
                host="127.0.0.1",
                port=supervise.pick_port("127.0.0.1"),
                data_dir=folder / "data",
                database_url=ground.database_url,
                redis_url=ground.redis_url,
                secret_keys=(new_key_text(),),
            )
            service = supervise.make_service(settings, {**_environ(settings, mail, mark), **(more or {})}, workers)
            with (folder / "service.log").open("wb") as words:
                service.output = words
                stage = Stage(folder, mark, ground, service, mail, await _make_key(settings))
                service.server_died = stage.revive
                stop, ready = asyncio.Event(), asyncio.Event()
                running = asyncio.create_task(service.run(stop, ready.set))
                waiter = asyncio.create_task(ready.wait())
                await asyncio.wait({running, waiter}, return_when=asyncio.FIRST_COMPLETED)
                if running.done():
                    running.result()
                say(f"the service runs on {service.base_url} with {workers} workers; its words are in {words.name}")
                try:
                    yield stage
                finally:
                    stop.set()
                    await asyncio.wait({running, waiter}, timeout=30)
    finally:
        ground.stop()


def _environ(settings: Settings, mail: Counting, mark: str) -> dict[str, str]:
    given = {
        "ALLOW_NETWORKS": "127.0.0.0/8",
        "ALLOW_PORTS": f"{mail.smtp_port},{mail.imap_port}",
        "CHECK_CONCURRENCY": "100",
        "DATA_DIR": str(settings.data_dir),
        "HOST": settings.host,
        "LOG_FORMAT": "json",
        "METRICS_ADDRESS": "127.0.0.1:0",
        "PORT": str(settings.port),
        "RATE_LIMIT": "100000",
        "SECRET_KEYS": ",".join(settings.secret_keys),
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BULK_CONNECT_")}
    addresses = {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url}
    return {**inherited, **addresses, **{f"BULK_CONNECT_{name}": value for name, value in given.items()}, MARK: mark}


async def _make_key(settings: Settings) -> str:
    await migrate(settings.database_url)
    db = await connect(settings.database_url)
    try:
        owner = await workspaces.insert_workspace(db, "chaos", Keyring.from_texts(settings.secret_keys))
        key, _ = await workspaces.insert_api_key(db, owner.id, (Scope.ADMIN,))
    finally:
        await db.close()
    return key
