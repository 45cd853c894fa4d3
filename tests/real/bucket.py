"""A real S3-compatible server on a folder: s3rver, which `make bucket` brings; every request must be signed."""

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.real.process import UnavailableError, free_ports, start, stop, wait_until

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / ".venv" / "bucket" / "node_modules"
NAME = "reports"
KEY_ID = "reportskeyid"


@dataclass
class Bucket:
    """A bucket at `endpoint`. `secret`: occurs nowhere else; `folder`: where the server keeps what it is given."""

    folder: Path
    address: str = "127.0.0.1"
    port: int = 0
    secret: str = field(default_factory=lambda: f"secret{secrets.token_hex(16)}")
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://{self.address}:{self.port}"

    @property
    def store(self) -> str:
        """Return what REPORT_STORE is."""
        return f"s3://{NAME}/some/prefix"

    @property
    def log(self) -> Path:
        return self.folder / "bucket.log"

    def environ(self) -> dict[str, str]:
        """Return what a process needs in its environment to write here."""
        return {
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
        }

    def start(self) -> None:
        """Start the server, or start it again on the same folder.

        Raises:
            UnavailableError: it cannot run here.
        """
        node = shutil.which("node")
        if node is None or not (PACKAGES / "s3rver").is_dir():
            raise UnavailableError("no S3-compatible server here: make bucket (needs Node.js and npm)")
        script = Path(__file__).with_name("bucket.js")
        self.port = self.port or free_ports(1)[0]
        words: list[str | Path] = [
            node,
            script,
            self.address,
            str(self.port),
            self.folder / "objects",
            NAME,
            KEY_ID,
            self.secret,
        ]
        self.log.unlink(missing_ok=True)
        self.process = start(words, self.log, {**os.environ, "NODE_PATH": str(PACKAGES)})
        wait_until(lambda: self.log.exists() and "ready" in self.log.read_text(), self.process, self.log)

    def stop(self) -> None:
        if self.process is not None:
            stop(self.process)
            self.process = None

    def pause(self, number: signal.Signals = signal.SIGSTOP) -> None:
        """Have it answer nobody, though it listens; SIGCONT: answer again."""
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def list_objects(self) -> list[Path]:
        """Return the files of the objects that are there."""
        return sorted((self.folder / "objects" / NAME / "some").rglob("*._S3rver_object"))


@contextmanager
def open_bucket(folder: Path) -> Iterator[Bucket]:
    """Run a server on 127.0.0.1.

    Raises:
        UnavailableError: it cannot run here.
    """
    bucket = Bucket(folder)
    bucket.start()
    try:
        yield bucket
    finally:
        bucket.stop()
