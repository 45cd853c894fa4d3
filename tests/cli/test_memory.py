"""A process that runs for long gives back what a large body took."""

import subprocess
import sys
from pathlib import Path

import pytest

_HOLD_SEVERAL = """
import re
from pathlib import Path
from app.memory import settle_for_long

def read_held_kb():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

settle_for_long()
kept, before = [], read_held_kb()
for _ in range(4):
    body = b"x" * 20_000_000
    kept.append([bytes(600) for _ in range(50)])
    del body
print(read_held_kb() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read as Linux tells it")
def test_large_blocks_go_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", _HOLD_SEVERAL], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 2_000
