"""What the tests of the report store share: a bucket, an API and a worker that keep reports there, and one caller."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.fakes.counting import Counting, count_logins
from tests.flow.caller import Caller
from tests.real.bucket import Bucket, open_bucket
from tests.real.line import Line, open_line
from tests.real.process import UnavailableError

ROWS = 20


@dataclass(frozen=True)
class Service:
    """Everything that a request goes through, with its reports in a bucket."""

    line: Line
    bucket: Bucket
    mail: Counting
    caller: Caller

    def rows(self, label: str, count: int = ROWS) -> list[dict[str, object]]:
        """Return mailboxes, one in four of them with a wrong password."""
        return [
            {
                "smtpEmailAddress": f"{'wrong' if number % 4 == 0 else 'good'}-{label}-{number}@counting.test",
                "smtpPassword": "right horse",
                "smtpHost": "127.0.0.1",
                "imapHost": "127.0.0.1",
                "smtpPort": self.mail.smtp_port,
                "imapPort": self.mail.imap_port,
                "smtpEncryption": "none",
                "imapEncryption": "none",
            }
            for number in range(1, count + 1)
        ]

    async def post(self, label: str) -> str:
        return str((await self.caller.post(self.rows(label)))["requestId"])

    async def finish(self, label: str) -> tuple[str, str]:
        """Post a request and wait for its end. Returns its id and its report's link."""
        request_id = await self.post(label)
        return request_id, str((await self.caller.wait(request_id, 60))["reportURL"])


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with tempfile.TemporaryDirectory(prefix="reports-bucket-") as name:
        try:
            opened = open_bucket(Path(name))
            with opened as found:
                yield found
        except UnavailableError as reason:
            pytest.skip(str(reason))


@pytest.fixture(scope="module")
async def mail() -> AsyncIterator[Counting]:
    async with count_logins(0.05) as book:
        yield book


@pytest.fixture(scope="module")
async def service(bucket: Bucket, mail: Counting, database_url: str, redis_url: str) -> AsyncIterator[Service]:
    settings = {
        "REPORT_STORE": bucket.store,
        "ALLOW_PORTS": f"{mail.smtp_port},{mail.imap_port}",
        "CHECK_CONCURRENCY": "40",
    }
    with (
        tempfile.TemporaryDirectory(prefix="reports-line-") as name,
        open_line(Path(name), database_url, redis_url, settings) as line,
    ):
        inherited = {key: value for key, value in os.environ.items() if key.startswith("AWS_")}
        for key in inherited:
            del line.environ[key]
        line.environ |= bucket.environ()
        await line.start_api()
        await line.start_worker("worker")
        key = await line.make_key("bucket")
        async with aiohttp.ClientSession(headers={"x-api-key": key}) as session:
            yield Service(line, bucket, mail, Caller(line.url, session))
