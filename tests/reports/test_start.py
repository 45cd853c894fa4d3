"""What an API or a worker says when it starts and the bucket of its settings will not do."""

import asyncio
import os
import socket
import sys
from pathlib import Path

import pytest

from tests.real.bucket import KEY_ID, NAME, ROOT, Bucket
from tests.real.process import free_ports

KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
MEND = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role that may write there."
REFUSED = "bulk-connect: The report store {store} cannot be used: {why}\n"
PASSED = "bulk-connect: PostgreSQL cannot be reached."
"""What comes after the report store."""


async def start(name: str, bucket: Bucket, folder: Path, store: str = "", **changes: str) -> tuple[int, str]:
    """Start a process that finds no PostgreSQL; return its exit code and what it says. An empty change: not set."""
    clean = {key: text for key, text in os.environ.items() if not key.startswith(("AWS_", "BULK_CONNECT_"))}
    given = {
        "DATABASE_URL": f"postgresql://x@/x?host={folder}",
        "REDIS_URL": f"unix://{folder}/none",
        "BULK_CONNECT_SECRET_KEYS": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        "BULK_CONNECT_REPORT_STORE": store or bucket.store,
        # Where a machine's role would be asked for: nobody answers.
        "AWS_METADATA_ENDPOINT": f"http://127.0.0.1:{free_ports(1)[0]}",
        **bucket.environ(),
        **changes,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", name),
        cwd=ROOT,
        env=clean | {key: text for key, text in given.items() if text},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), 30)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return process.returncode or 0, said.decode()


async def test_a_bucket_that_takes_us_is_passed_over_and_left_as_it_was(bucket: Bucket, tmp_path: Path) -> None:
    before = bucket.list_objects()
    code, said = await start("worker", bucket, tmp_path)
    assert (code, said.startswith(PASSED)) == (3, True)
    assert bucket.list_objects() == before


@pytest.mark.parametrize("name", ["api", "worker"])
async def test_missing_credentials_are_told_at_once(name: str, bucket: Bucket, tmp_path: Path) -> None:
    code, said = await start(name, bucket, tmp_path, **dict.fromkeys(KEYS, ""))
    assert (code, said) == (1, REFUSED.format(store=bucket.store, why=f"there are no credentials for it: {MEND}"))


async def test_a_bucket_that_is_not_there_is_told_at_once(bucket: Bucket, tmp_path: Path) -> None:
    code, said = await start("worker", bucket, tmp_path, "s3://nothing/prefix")
    why = "there is no such bucket. Make it, or mend BULK_CONNECT_REPORT_STORE."
    assert (code, said) == (1, REFUSED.format(store="s3://nothing/prefix", why=why))


async def test_credentials_that_are_refused_are_told_and_not_shown(bucket: Bucket, tmp_path: Path) -> None:
    wrong = f"wrong{bucket.secret}"
    code, said = await start("worker", bucket, tmp_path, AWS_SECRET_ACCESS_KEY=wrong)
    why = f"it refuses our credentials (SignatureDoesNotMatch): {MEND}"
    assert (code, said) == (1, REFUSED.format(store=bucket.store, why=why))
    assert KEY_ID not in said


@pytest.mark.parametrize("is_silent", [True, False])
async def test_a_bucket_that_gives_no_answer_keeps_no_worker_from_its_work(
    bucket: Bucket, tmp_path: Path, is_silent: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1] if is_silent else free_ports(1)[0]
        code, said = await start("worker", bucket, tmp_path, AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}")
    assert code == 3
    assert "report_store.no_answer" in said
    assert NAME in said
    assert PASSED in said
