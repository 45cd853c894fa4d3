"""I/O: a folder of reports as the disk holds it: what is written stays, what was half written goes.

A report is written beside its place, under its name with `#` and a number, and then renamed. Whoever is killed in the
middle leaves that half; nobody but the writer reads it.
"""

import contextlib
import errno
import os
import time
from pathlib import Path
from typing import Final

HALF_SECONDS: Final = 3600.0
"""For how long a half may grow no more before its writer is taken for dead."""


def bring_to_disk(folder: Path, path: str) -> None:
    """See that a file of the folder, and its name, outlive a loss of power.

    Raises:
        OSError: the disk says no.
    """
    here = folder / path
    for each in (here, *here.parents):
        handle = os.open(each, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError as error:
            # Some file systems, of networks mostly, bring files to the disk and know no such call for folders.
            if each == here or error.errno not in {errno.EINVAL, errno.EBADF, errno.ENOTSUP}:
                raise
        finally:
            os.close(handle)
        if each == folder:
            return


def remove_halves(folder: Path, seconds: float = HALF_SECONDS) -> int:
    """Remove halves that have not grown for so long. Returns how many."""
    removed = 0
    for half in folder.glob("*/*.csv#*"):
        with contextlib.suppress(OSError):
            if time.time() - half.stat().st_mtime > seconds:
                half.unlink()
                removed += 1
    return removed
