"""I/O: how a process that runs for long holds its memory: what is looked at for garbage, what goes back when freed."""

import contextlib
import gc
from typing import Final

GARBAGE_THRESHOLDS: Final = (50_000, 20, 50)
"""For gc.set_threshold."""

LARGE_BYTES: Final = 1024 * 1024
KEPT_BYTES: Final = 8 * 1024 * 1024
"""What may stay free at a heap's end. With one MiB, each block of rows was given back and fetched again."""
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
"""mallopt(3), malloc.h of glibc."""


def settle_for_long() -> None:
    """Have the collector look less often, and large blocks go back to the system as soon as they are freed.

    What the modules made at the start lives as long as the process: the collector need not look at it again, and
    thousands of checks in flight are no garbage either. It takes a tenth of a worker's time otherwise.

    glibc takes the next block as large as one that was freed, up to 32 MiB, from its heap (mallopt(3),
    M_MMAP_THRESHOLD), where what stands behind it keeps it from going back: an API would go on holding the largest
    body. To set one of its bounds ends its own choice of the other, so both are set. musl and macOS have no such call.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    with contextlib.suppress(ImportError, OSError, AttributeError, TypeError):
        import ctypes

        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
