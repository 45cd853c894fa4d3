"""A service that says what a test wants: real HTTP, scripted answers."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

Answer = web.Response | Callable[[web.Request], web.Response]


@dataclass
class Stub:
    """Answers by method and path, each list in order, the last again and again; and what was asked."""

    answers: dict[tuple[str, str], list[Answer]] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    def on(self, method: str, path: str, *answers: Answer) -> None:
        self.answers[method, path] = list(answers)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path_qs, dict(request.headers), await request.read()))
        waiting = self.answers.get((request.method, request.path))
        if not waiting:
            return problem(404, "There is no such thing.")
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return answer(request) if callable(answer) and not isinstance(answer, web.Response) else _copy(answer)


def _copy(answer: Any) -> web.Response:
    return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


def payload(**values: Any) -> web.Response:
    return web.json_response({"payload": values})


def problem(status: int, detail: str, **more: Any) -> web.Response:
    body = {"type": "about:blank", "title": "Wrong", "status": status, "detail": detail, "message": detail, **more}
    return web.json_response(body, status=status, content_type="application/problem+json")


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    stub = Stub()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", stub.handle)
    async with TestServer(app) as server:
        stub.url = str(server.make_url("")).rstrip("/")
        yield stub
