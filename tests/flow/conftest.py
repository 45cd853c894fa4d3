"""What the tests of the whole line share: the town, an API process and two workers, and one caller."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.flow.caller import Caller
from tests.flow.figures import FIGURES
from tests.flow.town import Town, build_town
from tests.real.line import Line, open_line
from tests.real.process import UnavailableError, open_folder

MAILBOXES = 2000


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for words in FIGURES:
        terminalreporter.write_line(words)


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    with open_folder("flow-town") as folder:
        try:
            built = build_town(folder, MAILBOXES)
        except UnavailableError as reason:
            pytest.skip(str(reason))
        try:
            yield built
        finally:
            built.stop()


@pytest.fixture(scope="module")
async def line(town: Town, database_url: str, redis_url: str) -> AsyncIterator[Line]:
    settings = {"ALLOW_PORTS": town.ports, "CA_FILE": str(town.ca_file), "CHECK_CONCURRENCY": "60"}
    with (
        tempfile.TemporaryDirectory(prefix="flow-line-") as name,
        open_line(Path(name), database_url, redis_url, settings) as laid,
    ):
        await laid.start_api()
        await laid.start_worker("worker-1")
        await laid.start_worker("worker-2")
        yield laid


@pytest.fixture(scope="module")
async def caller(line: Line) -> AsyncIterator[Caller]:
    key = await line.make_key()
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
        yield Caller(line.url, session)
