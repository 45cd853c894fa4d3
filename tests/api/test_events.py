"""A request's status as server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import msgspec
import pytest
from aiohttp import ClientPayloadError, ClientResponse

from jobs.write_report import write_report
from tests.api.asking import CONNECT, STATUS, Service, row


async def read_events(response: ClientResponse) -> AsyncIterator[dict[str, str]]:
    """Yield the events of a stream as browsers read them; comments come as `comment`."""
    event: dict[str, str] = {}
    async for raw in response.content:
        line = raw.decode().rstrip("\n")
        if not line:
            yield event
            event = {}
            continue
        name, _, value = line.partition(":")
        event[name or "comment"] = value.removeprefix(" ")


def open_stream(service: Service, request_id: str) -> Any:
    return service.client.get(f"{STATUS}/{request_id}/events", headers={"x-api-key": service.key})


async def test_a_stream_tells_every_state_until_the_end(service: Service) -> None:
    request_id = await service.connected(row("a"), row("b"))
    async with asyncio.timeout(20), open_stream(service, request_id) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        events = read_events(response)
        assert await anext(events) == {"retry": "2000"}
        first = await anext(events)
        assert first["event"] == "status"
        assert msgspec.json.decode(first["data"])["payload"]["counts"]["pending"] == 2
        await service.post(f"{CONNECT}/{request_id}/cancel")
        second = await anext(events)
        assert int(second["id"]) > int(first["id"])
        assert msgspec.json.decode(second["data"])["payload"]["counts"]["cancelled"] == 2
        await write_report(service.api.db, service.api.reports, UUID(request_id))
        last = [event async for event in events]
    status = (await service.get(f"{STATUS}/{request_id}")).json
    assert msgspec.json.decode(last[-1]["data"]) == status
    assert status["payload"]["isCompleted"]


async def test_a_stream_of_what_is_over_ends_at_once(service: Service) -> None:
    request_id = await service.connected(row(smtpPort=0))
    await write_report(service.api.db, service.api.reports, UUID(request_id))
    async with asyncio.timeout(5), open_stream(service, request_id) as response:
        assert [event.get("event") async for event in read_events(response)] == [None, "status"]


async def test_a_quiet_stream_is_kept_alive(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.api.events.HEARTBEAT_SECONDS", 0.1)
    async with asyncio.timeout(5), open_stream(service, await service.connected(row())) as response:
        events = read_events(response)
        told = [await anext(events) for _ in range(4)]
    assert [event.get("comment") for event in told] == [None, None, "still here", "still here"]


async def test_a_request_that_goes_ends_its_stream(service: Service) -> None:
    request_id = await service.connected(row())
    async with asyncio.timeout(10), open_stream(service, request_id) as response:
        events = read_events(response)
        await anext(events)
        await anext(events)
        await service.api.db.execute("DELETE FROM requests WHERE id = $1", UUID(request_id))
        with pytest.raises(ClientPayloadError):
            [event async for event in events]


async def test_a_reader_who_goes_away_harms_nobody(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.api.events.HEARTBEAT_SECONDS", 0.05)
    request_id = await service.connected(row())
    async with open_stream(service, request_id) as response:
        await anext(read_events(response))
        response.close()
    await asyncio.sleep(0.3)
    assert (await service.get(f"{STATUS}/{request_id}")).status == 200


async def test_a_process_that_leaves_ends_its_streams(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.api.events.HEARTBEAT_SECONDS", 0.1)
    async with asyncio.timeout(5), open_stream(service, await service.connected(row())) as response:
        events = read_events(response)
        await anext(events)
        monkeypatch.setattr(service.api, "is_leaving", True)
        assert [event async for event in events][-1].get("event") in {"status", None}
