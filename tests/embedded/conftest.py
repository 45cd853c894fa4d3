"""A folder for servers of our own."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """Yield a folder that does not exist yet, where also the account `nobody` may go."""
    above = Path(tempfile.mkdtemp(prefix="bulk-connect-tests-"))
    above.chmod(0o755)
    yield above / "data"
    shutil.rmtree(above)
