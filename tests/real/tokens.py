"""An OAuth 2 introspection endpoint (RFC 7662) for Dovecot: says which tokens are good, and for whom."""

import asyncio
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs


class TokenServer:
    """Answers POST with `token=...` on a port of 127.0.0.1."""

    def __init__(self, good: Mapping[str, str]) -> None:
        self.good = dict(good)
        self.url = ""
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/introspect"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            lengths = [line.split(":")[1] for line in head.splitlines() if line.lower().startswith("content-length:")]
            body = (await reader.readexactly(int(lengths[0]))).decode() if lengths else ""
            token = parse_qs(body).get("token", [""])[0]
            user = self.good.get(token)
            answer = {"active": True, "username": user} if user else {"active": False}
            text = json.dumps(answer).encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
                + f"Content-Length: {len(text)}\r\n\r\n".encode()
                + text
            )
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
