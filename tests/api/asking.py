"""How the tests call the API: over real HTTP, and every answer is held to the OpenAPI document."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID, uuid4

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from app.api.context import Api
from app.api.main import make_app, opened
from app.demo.houses import House, Town
from app.model import Scope
from app.settings import Settings
from app.store.workspaces import insert_api_key, insert_workspace
from tests.api.described import Described

CONNECT = "/v1/email-accounts/connect"
STATUS = f"{CONNECT}/status"
ACCOUNTS = "/v1/email-accounts"
ALL_SCOPES = (Scope.CONNECT, Scope.READ, Scope.WRITE)

Client = TestClient[web.Request, web.Application]

_DESCRIBED = Described()


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def payload(self) -> Any:
        return self.json["payload"]

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def kind(self) -> str:
        return self.headers.get("Content-Type", "").partition(";")[0]

    @property
    def problem(self) -> str:
        """Return the last part of a problem's type."""
        assert self.kind == "application/problem+json", self.body[:200]
        return str(self.json["type"]).rpartition(":")[2]


@dataclass(frozen=True)
class Service:
    """A running API, and who calls it with one key of one workspace."""

    api: Api
    client: Client
    workspace_id: UUID
    key: str
    headers: Mapping[str, str] = field(default_factory=dict)

    async def ask(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> Answer:
        """Make a call with the key; see that the answer is as described."""
        sent = {"x-api-key": self.key, **self.headers, **(headers or {})}
        return await ask(self.client, method, path, headers=sent, **more)

    async def get(self, path: str, **more: Any) -> Answer:
        return await self.ask("GET", path, **more)

    async def post(self, path: str, body: object = None, **more: Any) -> Answer:
        return await self.ask("POST", path, **more) if body is None else await self.ask("POST", path, json=body, **more)

    async def connect(self, *rows: object, **params: str) -> Answer:
        """Connect rows; the answer is the API's."""
        return await self.post(CONNECT, list(rows), params=params)

    async def connected(self, *rows: object, **params: str) -> str:
        """Connect rows and return the request's id."""
        answer = await self.connect(*rows, **params)
        assert answer.status == 200, answer.text
        return str(answer.payload["requestId"])

    async def finished(self, request_id: str) -> Any:
        """Wait for the end of a request and return its status."""
        status: Any = None
        for _ in range(20):
            status = (await self.get(f"{STATUS}/{request_id}", params={"wait": "5"})).payload
            if status["isCompleted"]:
                return status
        raise AssertionError(f"{request_id} does not end: {status}")

    async def with_scopes(self, *scopes: Scope) -> "Service":
        """Return a caller of the same workspace whose key has just these scopes."""
        key, _ = await insert_api_key(self.api.db, self.workspace_id, scopes)
        return Service(self.api, self.client, self.workspace_id, key)


async def ask(client: Client, method: str, path: str, **more: Any) -> Answer:
    """Make a call with nothing added; see that the answer is as described."""
    async with client.request(method, path, **more) as response:
        answer = Answer(response.status, response.headers, await response.read())
    body = answer.json if answer.kind.endswith("json") and answer.body else answer.body
    _DESCRIBED.check(method, path.partition("?")[0], answer.status, answer.kind, body)
    assert answer.headers.get("X-Request-ID")
    return answer


async def enter(api: Api, client: Client, scopes: Collection[Scope] = ALL_SCOPES) -> Service:
    """Make a workspace of its own and return its caller."""
    workspace = await insert_workspace(api.db, f"workspace {uuid4().hex}", api.keyring)
    key, _ = await insert_api_key(api.db, workspace.id, scopes)
    return Service(api, client, workspace.id, key)


@contextlib.asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[tuple[Api, Client]]:
    """Run an API."""
    async with opened(settings) as api, TestClient(TestServer(make_app(api))) as client:
        yield api, client


def row(name: str = "info", **fields: object) -> dict[str, object]:
    """Return a row that can be read, and that no test lets anybody dial."""
    return {
        "smtpEmailAddress": f"{name}@example.com",
        "smtpPassword": "right horse",
        "smtpHost": "smtp.example.com",
        "smtpPort": 465,
        "imapHost": "imap.example.com",
        "imapPort": 993,
        **fields,
    }


async def send_raw(client: Client, *parts: bytes, ends: bool = False) -> bytes:
    """Send bytes as they are; return the answer, or nothing. `ends`: we hang up first."""
    reader, writer = await asyncio.open_connection(client.host, client.port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        if ends:
            writer.write_eof()
        async with asyncio.timeout(20):
            return await _read_answer(reader)
    finally:
        writer.close()


def mailbox(town: Town, house: House, name: str, password: str, **fields: object) -> dict[str, object]:
    """Return a row of somebody at one of the town's houses; over TLS from the first byte."""
    return {
        "smtpEmailAddress": name,
        "smtpPassword": password,
        "smtpHost": house.smtp_host,
        "smtpPort": town.ports[house.label, "smtp", "ssl"],
        "smtpEncryption": "ssl",
        "imapHost": house.imap_host,
        "imapPort": town.ports[house.label, "imap", "ssl"],
        "imapEncryption": "ssl",
        **fields,
    }


async def _read_answer(reader: asyncio.StreamReader) -> bytes:
    """Read one answer; aiohttp leaves the connection open for a while where it has not read all of a body."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as nothing:
        return nothing.partial
    length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
    return head + await reader.readexactly(int(length.partition(b":")[2]))
