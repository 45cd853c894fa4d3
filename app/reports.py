"""I/O: the report store: finished CSVs in a local folder or in S3 and its likes, and links that open them.

A report is written whole or not at all and never changed. An object store signs its own links; for a folder we sign
them ourselves, and the API serves them.
"""

import asyncio
import contextlib
import hashlib
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import obstore
import structlog
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import LocalStore, S3Store

from app.report_folder import bring_to_disk, remove_halves
from app.seal import sign_link
from app.settings import Settings

LINK_SECONDS: Final = 7 * 24 * 3600
"""How long a link opens; a new status call signs a new one. S3 signs for seven days at most."""
LINK_PATH: Final = "/v1/reports/"
CONTENT_TYPE: Final = "text/csv; charset=utf-8"
LOOK_SECONDS: Final = 2.0
"""How long a status call waits for an object store's word on whether a report is there."""

START_SECONDS: Final = 3.0
START_OBJECT: Final = "start-check"
"""Written and taken away when a worker starts: the store's word on whether reports can be."""

_BRIEF: Final[Any] = {"max_retries": 1, "retry_timeout": timedelta(seconds=2)}
_MEND: Final = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role that may write there"

_LOG: Final = structlog.get_logger()


class ReportStoreError(Exception):
    """The report store cannot be read or written."""


@dataclass(frozen=True, slots=True)
class ReportStore:
    """Where reports are. `is_local`: links are ours to sign and serve."""

    store: Any
    is_local: bool
    link_key: bytes
    address: str = ""

    async def try_out(self, *, is_writer: bool) -> None:
        """Find out at the start whether an object store takes us. One that gives no answer may do so later.

        Raises:
            ReportStoreError: it says no, or there are no credentials to ask it with.
        """
        if self.is_local:
            return
        # Few tries: a call that is given up may outlive a process that ends at once.
        store = S3Store.from_url(self.address, retry_config=_BRIEF)
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._try_credentials(store)
                if is_writer:
                    await self._try_to_write(store)
        except TimeoutError:
            self._tell_no_answer("TimeoutError")

    async def _try_credentials(self, store: Any) -> None:
        try:
            await obstore.sign_async(store, "GET", START_OBJECT, timedelta(seconds=1))
        except BaseError:
            raise self._unusable(f"there are no credentials for it: {_MEND}.") from None

    async def _try_to_write(self, store: Any) -> None:
        try:
            await obstore.put_async(store, START_OBJECT, b"")
            with contextlib.suppress(BaseError, FileNotFoundError):
                await obstore.delete_async(store, START_OBJECT)
        except FileNotFoundError:
            raise self._unusable("there is no such bucket. Make it, or mend BULK_CONNECT_REPORT_STORE.") from None
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise self._unusable(f"it refuses our credentials{_read_code(error)}: {_MEND}.") from None
        except BaseError as error:
            self._tell_no_answer(f"{type(error).__name__}{_read_code(error)}")

    def _unusable(self, why: str) -> ReportStoreError:
        return ReportStoreError(f"The report store {self.address} cannot be used: {why}")

    def _tell_no_answer(self, why: str) -> None:
        note = f"reports wait until it answers; if it never does, {_MEND}, or see to the network"
        _LOG.warning("report_store.no_answer", store=self.address, error=why, note=note)

    async def write(self, path: str, blocks: AsyncIterator[bytes]) -> bytes:
        """Store a report under `path` as its blocks come. Returns the SHA-256 of its bytes.

        Raises:
            ReportStoreError: no room, no right, no answer; nothing is left under `path` then.
        """
        digest = hashlib.sha256()

        async def counted() -> AsyncIterator[bytes]:
            async for block in blocks:
                digest.update(block)
                yield block

        try:
            await obstore.put_async(self.store, path, counted(), mode="overwrite", attributes=self._describe(path))
            if self.is_local:
                await asyncio.to_thread(bring_to_disk, self.store.prefix, path)
        except (BaseError, OSError) as error:
            raise ReportStoreError(type(error).__name__) from None
        return digest.digest()

    async def stream(self, path: str) -> tuple[int, AsyncIterator[bytes]]:
        """Return the size of a report in bytes, and its bytes.

        Raises:
            ReportStoreError: it is not there, or cannot be read.
        """
        try:
            found = await obstore.get_async(self.store, path)
        except (BaseError, OSError) as error:
            raise ReportStoreError(type(error).__name__) from None

        async def blocks() -> AsyncIterator[bytes]:
            try:
                async for block in found.stream(min_chunk_size=256 * 1024):
                    yield bytes(block)
            except (BaseError, OSError) as error:
                raise ReportStoreError(type(error).__name__) from None

        return found.meta["size"], blocks()

    async def is_gone(self, path: str) -> bool:
        """Tell whether the store says that a report is not there. One that gives no answer says nothing."""
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await obstore.head_async(self.store, path)
        except FileNotFoundError:
            return True
        except (BaseError, OSError):
            return False
        return False

    async def delete(self, path: str) -> None:
        """Delete a report; one that is gone already is fine."""
        try:
            await obstore.delete_async(self.store, path)
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            raise ReportStoreError(type(error).__name__) from None

    async def remove_halves(self) -> int:
        """Remove what writers left in a folder that were killed; an object store shows no halves. Returns how many."""
        return await asyncio.to_thread(remove_halves, self.store.prefix) if self.is_local else 0

    async def link(self, path: str, base_url: str) -> str:
        """Return a link that opens the report without a key until it expires."""
        if self.is_local:
            # The end is rounded up to the hour, so that polling scripts see one link for a while.
            expires_at = (int(time.time()) + LINK_SECONDS) // 3600 * 3600
            signature = sign_link(path, expires_at, self.link_key)
            return f"{base_url}{LINK_PATH}{quote(path)}?expires={expires_at}&signature={signature}"
        try:
            signed: str = await obstore.sign_async(self.store, "GET", path, timedelta(seconds=LINK_SECONDS))
        except (BaseError, OSError) as error:
            raise ReportStoreError(type(error).__name__) from None
        return signed

    def _describe(self, path: str) -> dict[str, str] | None:
        """Return what an object store tells readers of a link besides the bytes; a folder keeps bytes alone."""
        if self.is_local:
            return None
        return {
            "Content-Type": CONTENT_TYPE,
            "Content-Disposition": f'attachment; filename="{path.rpartition("/")[2]}"',
            "Cache-Control": "private, no-store",
        }


def open_report_store(settings: Settings, link_key: bytes) -> ReportStore:
    """Open the store that the settings name; a local folder is made where it is missing.

    Raises:
        ReportStoreError: the address names no store.
    """
    address = settings.report_store or (settings.data_dir.absolute() / "reports").as_uri()
    parts = urlsplit(address)
    try:
        if parts.scheme == "file":
            folder = Path(parts.path)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return ReportStore(LocalStore(folder), is_local=True, link_key=link_key)
        # Region, endpoint and credentials come from the AWS_… variables, as everywhere with S3.
        return ReportStore(S3Store.from_url(address), is_local=False, link_key=link_key, address=address)
    except (BaseError, OSError, ValueError) as error:
        why = (isinstance(error, OSError) and error.strerror) or type(error).__name__
        raise ReportStoreError(f"The report store {address} cannot be opened: {why}") from None


def _read_code(error: Exception) -> str:
    """Return S3's own word for what is wrong, in brackets. Nothing else of an error is shown: it quotes the call."""
    found = re.search(r"<Code>(\w{1,60})</Code>", str(error))
    return f" ({found[1]})" if found else ""
