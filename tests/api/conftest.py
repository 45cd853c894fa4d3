"""What the tests of the API share: a real service on real servers, and a caller with a workspace of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.api.context import Api
from app.demo.houses import Town
from app.demo.servers import open_town
from app.seal import new_key_text
from app.settings import Settings
from tests.api.asking import Client, Service, enter, serving
from tests.real.line import Line, open_line


@pytest.fixture(scope="module")
def settings(database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder: Path = tmp_path_factory.mktemp("service")
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        secret_keys=(new_key_text(),),
        data_dir=folder,
        report_store=(folder / "reports").as_uri(),
        metrics_address="127.0.0.1:0",
        rate_limit=100_000,
        max_rows=1000,
        max_body_bytes=256 * 1024,
    )


@pytest.fixture(scope="module")
async def running(settings: Settings) -> AsyncIterator[tuple[Api, Client]]:
    async with serving(settings) as found:
        yield found


@pytest.fixture
async def service(running: tuple[Api, Client]) -> Service:
    """Return the caller of a new workspace."""
    return await enter(*running)


@pytest.fixture
async def stranger(running: tuple[Api, Client]) -> Service:
    """Return the caller of another new workspace."""
    return await enter(*running)


@pytest.fixture(scope="module")
async def town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """Yield mail servers that answer as named ones do."""
    async with open_town(tmp_path_factory.mktemp("town")) as opened:
        yield opened


@pytest.fixture(scope="module")
async def worker(settings: Settings, town: Town) -> AsyncIterator[Line]:
    """Run a worker process, as it really runs, on the service's servers; it knows the town and nobody else."""
    told = {
        "SECRET_KEYS": ",".join(settings.secret_keys),
        "REPORT_STORE": settings.report_store,
        "ALLOW_PORTS": ",".join(map(str, sorted(town.all_ports()))),
        "DNS_SERVERS": town.name_server,
        "CA_FILE": str(town.ca_file),
        "CONNECT_TIMEOUT": "2",
        "TLS_TIMEOUT": "2",
        "GREET_TIMEOUT": "2",
        "RETRY_BUDGET": "5",
    }
    with open_line(settings.data_dir, settings.database_url, settings.redis_url, told) as line:
        await line.start_worker("worker")
        yield line
