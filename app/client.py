"""I/O: the command line's side of our own API, over HTTP.

Every answer becomes plain data, every trouble a `ClientError` with one clear sentence and the exit code of
CONTRACT section 7: 2 for what the caller got wrong, 3 for a service that cannot be reached or cannot serve.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import aiohttp
import msgspec

from app.text import clean_text

EXIT_USAGE: Final = 2
EXIT_UNREACHABLE: Final = 3
PATIENCE_SECONDS: Final = 60.0
"""How long a service that went away in the middle is waited for."""

_BUSY: Final = frozenset({429, 502, 503, 504})
_CONNECT: Final = "/v1/email-accounts/connect"

Json = dict[str, Any]


class ClientError(Exception):
    """The service said no, or could not be reached. `exit_code`: what the command ends with."""

    def __init__(self, message: str, exit_code: int = EXIT_USAGE) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class ConnectOptions:
    """What goes along with a request; None and empty: as the service has it by default."""

    name: str = ""
    save: str = ""
    on_existing: str = ""
    auto_correct: bool | None = None
    strict: bool = False

    def query(self) -> dict[str, str]:
        """Return the query parameters, without those that are left to the service."""
        given = {
            "name": self.name,
            "save": self.save,
            "onExisting": self.on_existing,
            "autoCorrect": "" if self.auto_correct is None else str(self.auto_correct).lower(),
            "strict": "true" if self.strict else "",
        }
        return {key: value for key, value in given.items() if value}


class Client:
    """One connection to a service, as one API key."""

    def __init__(self, base_url: str, api_key: str) -> None:
        """`base_url`: with or without a final slash.

        Raises:
            ClientError: it is no address of a service.
        """
        if not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", base_url):
            raise ClientError(f"{base_url} is not the address of a service; it must begin with http:// or https://")
        self._base_url = base_url.rstrip("/")
        self._api_key = api_key
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=120),
            headers={"x-api-key": self._api_key, "Accept": "application/json"},
        )
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def connect(self, rows: Sequence[Json], options: ConnectOptions, idempotency_key: str) -> Json:
        """POST a connect request and return its payload. Sent again only under the same `idempotency_key`."""
        body = msgspec.json.encode(rows)
        headers = {"Content-Type": "application/json", "Idempotency-Key": idempotency_key}
        answer = await self._json("POST", _CONNECT, data=body, params=options.query(), headers=headers)
        return _payload(answer)

    async def reconnect(self, account_ids: Sequence[str], idempotency_key: str) -> Json:
        """Have stored accounts checked again; returns what `connect` returns."""
        headers = {"Idempotency-Key": idempotency_key}
        body = {"emailAccountIds": list(account_ids)}
        return _payload(await self._json("POST", "/v1/email-accounts/reconnect", json=body, headers=headers))

    async def status(self, request_id: str) -> Json:
        """Return where a request is."""
        return _payload(await self._json("GET", f"{_CONNECT}/status/{quote(request_id, safe='')}"))

    async def watch(self, request_id: str, pause_seconds: float = 0.25) -> AsyncIterator[Json]:
        """Yield a request's status again and again until it is completed; pauses grow to two seconds.

        A service that is away for less than a minute is waited for.
        """
        loop = asyncio.get_running_loop()
        gone_since: float | None = None
        while True:
            try:
                status = await self.status(request_id)
                gone_since = None
                yield status
                if status.get("isCompleted"):
                    return
            except ClientError as error:
                now = loop.time()
                gone_since = now if gone_since is None else gone_since
                if error.exit_code != EXIT_UNREACHABLE or now - gone_since > PATIENCE_SECONDS:
                    raise
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2.0, pause_seconds * 1.3)

    async def list_accounts(self, filters: dict[str, str]) -> AsyncIterator[Json]:
        """Yield the workspace's accounts, page by page."""
        cursor = ""
        while True:
            params = {**filters, "limit": "500", **({"cursor": cursor} if cursor else {})}
            payload = _payload(await self._json("GET", "/v1/email-accounts", params=params))
            for item in payload.get("items", []):
                yield item
            cursor = str(payload.get("nextCursor") or "")
            if not cursor:
                return

    async def save_report(
        self, request_id: str, target: Path | None, outcome: str = "", *, has_mark: bool = False
    ) -> bytes:
        """Fetch a request's CSV; `target` is written whole or not at all. Returns its bytes where target is None.

        `has_mark`: with a byte order mark, which Excel needs.
        """
        path = f"{_CONNECT}/{quote(request_id, safe='')}/report.csv"
        params = {**({"outcome": outcome} if outcome else {}), **({"bom": "true"} if has_mark else {})}
        try:
            async with self._open().get(self._base_url + path, params=params, allow_redirects=False) as answer:
                if answer.status != 200:
                    raise _refusal(answer.status, await answer.read(), self._base_url)
                if target is None:
                    return await answer.read()
                partial = target.with_name(f".{target.name}.part")
                with partial.open("wb") as sink:
                    async for block in answer.content.iter_chunked(1 << 16):
                        sink.write(block)
                partial.replace(target)
                return b""
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(error) from None

    def _open(self) -> aiohttp.ClientSession:
        assert self._session is not None
        return self._session

    async def _json(self, method: str, path: str, **parts: Any) -> Json:
        try:
            async with self._open().request(method, self._base_url + path, allow_redirects=False, **parts) as answer:
                body = await answer.read()
                if not 200 <= answer.status < 300:
                    raise _refusal(answer.status, body, self._base_url)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(error) from None
        decoded = _decode(body)
        if decoded is None:
            raise ClientError(f"{self._base_url} answers, but is not bulk-connect", EXIT_UNREACHABLE)
        return decoded

    def _unreachable(self, error: Exception) -> ClientError:
        why = "no answer in time" if isinstance(error, TimeoutError) else _reason(error)
        return ClientError(
            f"The service at {self._base_url} cannot be reached ({why}). Is it running (`bulk-connect up`), "
            "and is BULK_CONNECT_URL right?",
            EXIT_UNREACHABLE,
        )


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "no such host"
    if isinstance(error, aiohttp.ClientSSLError):
        return "its TLS certificate or mode is not right"
    if isinstance(error, aiohttp.ClientConnectorError) and error.errno:
        return os.strerror(error.errno).lower()
    return "connection lost"


def _decode(body: bytes) -> Json | None:
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    return decoded if isinstance(decoded, dict) else None


def _payload(answer: Json) -> Json:
    payload = answer.get("payload")
    return payload if isinstance(payload, dict) else answer


def _refusal(status: int, body: bytes, base_url: str) -> ClientError:
    problem = _decode(body) or {}
    detail = problem.get("detail") or problem.get("message") or problem.get("title")
    words = clean_text(str(detail), limit=1000) if detail else f"{base_url} answers with HTTP status {status}"
    for entry in list(problem.get("errors") or ())[:5]:
        if isinstance(entry, dict):
            row = f"row {entry.get('row')}, " if entry.get("row") else ""
            field = f"{entry.get('field')}: " if entry.get("field") else ""
            if not row and entry.get("message") == detail:
                continue  # said already
            words += f"\n  {row}{field}{clean_text(str(entry.get('message', '')), limit=300)}"
    if status == 401:
        words += " Set BULK_CONNECT_API_KEY, or make a key: bulk-connect keys create --workspace NAME"
    return ClientError(words, EXIT_UNREACHABLE if status in _BUSY or status >= 500 else EXIT_USAGE)
