"""Bodies: how large they may be, how slowly they may come, and compressed ones."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from app.api.context import BodyPace
from app.api.inflate import InflateError, Inflater
from app.settings import Settings
from tests.api.asking import ACCOUNTS, CONNECT, Answer, Service, enter, row, send_raw, serving

PLAIN = msgspec.json.encode([row("info"), row("sales")])


async def send(service: Service, body: bytes, coding: str = "", kind: str = "application/json") -> Answer:
    headers = {"Content-Type": kind, **({"Content-Encoding": coding} if coding else {})}
    return await service.ask("POST", CONNECT, data=body, headers=headers, skip_auto_headers=["Content-Encoding"])


def deflate_bare(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


async def test_more_rows_than_allowed_are_refused_with_the_limit(service: Service) -> None:
    answer = await service.connect(*[{}] * 1001)
    assert (answer.status, answer.problem, answer.json["limit"]) == (413, "too-many-rows", 1000)
    assert "1000" in answer.json["detail"]
    assert (await service.connect(*[{}] * 1000)).payload["total"] == 1000


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_more_bytes_than_allowed_are_refused_with_the_limit(service: Service, is_chunked: bool) -> None:
    body = b"[" + b" " * 256 * 1024 + b"]"
    answer = await service.ask(
        "POST", CONNECT, data=body, headers={"Content-Type": "application/json"}, chunked=is_chunked or None
    )
    assert (answer.status, answer.problem, answer.json["limit"]) == (413, "too-many-bytes", 256 * 1024)
    assert (await service.get(CONNECT)).status == 200


@pytest.mark.parametrize("path", [f"{ACCOUNTS}/smtp-imap/connect", "/v1/diagnoses/explain"])
async def test_bodies_of_one_thing_have_smaller_limits(service: Service, path: str) -> None:
    answer = await service.ask("POST", path, data=b" " * 300_000, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.problem) == (413, "too-many-bytes")


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(PLAIN)),
        ("GZIP", gzip.compress(PLAIN)),
        ("gzip", gzip.compress(PLAIN[:50]) + gzip.compress(PLAIN[50:])),
        ("deflate", zlib.compress(PLAIN)),
        ("deflate", deflate_bare(PLAIN)),
        ("identity", PLAIN),
    ],
)
async def test_compressed_bodies_are_read(service: Service, coding: str, body: bytes) -> None:
    answer = await send(service, body, coding)
    assert (answer.status, answer.payload["accepted"]) == (200, 2)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", PLAIN),
        ("gzip", gzip.compress(PLAIN)[:-6]),
        ("gzip", gzip.compress(PLAIN)[:30] + b"XXXX" + gzip.compress(PLAIN)[34:]),
        ("gzip", gzip.compress(PLAIN) + b"and more"),
        ("deflate", zlib.compress(PLAIN)[:-8]),
        ("deflate", zlib.compress(PLAIN) + b"and more"),
    ],
)
async def test_corrupt_compressed_bodies_are_refused(service: Service, coding: str, body: bytes) -> None:
    answer = await send(service, body, coding)
    assert (answer.status, answer.problem) == (400, "body")
    assert "Content-Encoding" in answer.json["detail"]


async def test_a_compressed_file_that_is_cut_off_between_lines_loses_no_rows_in_silence(service: Service) -> None:
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    head = packer.compress(msgspec.json.encode(row("info")) + b"\n") + packer.flush(zlib.Z_SYNC_FLUSH)
    answer = await send(service, head, "gzip", "application/x-ndjson")
    assert (answer.status, answer.problem) == (400, "body")


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "x-rot13"])
async def test_other_codings_are_refused(service: Service, coding: str) -> None:
    answer = await send(service, PLAIN, coding)
    assert (answer.status, answer.problem) == (415, "content-encoding")


async def test_a_small_body_that_swells_beyond_the_limit_is_refused(service: Service) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < 256 * 1024
    answer = await send(service, bomb, "gzip")
    assert (answer.status, answer.problem) == (413, "too-many-bytes")


def test_inflating_goes_in_small_steps() -> None:
    steps = [len(plain) for plain in Inflater("gzip").feed(gzip.compress(b" " * 5_000_000))]
    assert (max(steps), sum(steps)) == (1024 * 1024, 5_000_000)


def test_a_stream_may_come_byte_by_byte() -> None:
    inflater = Inflater("gzip")
    packed = gzip.compress(PLAIN)
    assert b"".join(plain for byte in packed for plain in inflater.feed(bytes([byte]))) == PLAIN
    inflater.end()
    with pytest.raises(InflateError):
        list(Inflater("gzip").feed(b"nothing of the kind"))


@pytest.fixture(scope="module")
async def hasty(settings: Settings) -> AsyncIterator[Service]:
    async with serving(settings) as (api, client):
        api.body_pace = BodyPace(pause_seconds=0.2, whole_seconds=0.6)
        yield await enter(api, client)


def head_of(service: Service, length: int) -> bytes:
    return (
        f"POST {CONNECT} HTTP/1.1\r\nHost: localhost\r\nx-api-key: {service.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


async def test_a_body_that_stops_halfway_is_not_waited_for(hasty: Service) -> None:
    said = await send_raw(hasty.client, head_of(hasty, 1000), b"[{")
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head.lower()
    problem = msgspec.json.decode(body)
    assert problem["type"].endswith(":slow-body")
    assert "0.2 s" in problem["detail"]


async def test_a_caller_that_hangs_up_halfway_harms_nobody(hasty: Service) -> None:
    await send_raw(hasty.client, head_of(hasty, 1000), b"[{", ends=True)
    assert (await hasty.get(CONNECT)).payload["total"] == 0


async def test_a_body_that_trickles_for_too_long_is_not_waited_for(hasty: Service) -> None:
    reader, writer = await asyncio.open_connection(hasty.client.host, hasty.client.port)
    writer.write(head_of(hasty, 1000))
    answered = asyncio.create_task(reader.readline())
    while not answered.done():
        writer.write(b" ")
        await asyncio.wait([answered], timeout=0.1)
    writer.close()
    assert (await answered).startswith(b"HTTP/1.1 408 ")
