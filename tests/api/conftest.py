"""What the tests of the API share: a real service on real servers, and a caller with a workspace of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.api.context import Api
from app.seal import new_key_text
from app.settings import Settings
from tests.api.asking import Client, Service, enter, serving


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
