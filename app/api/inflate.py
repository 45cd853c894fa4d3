"""Pure: compressed bodies to plain ones, in small steps; aiohttp's own way takes a file cut off for a whole one.

gzip files may be several in one, as `cat a.gz b.gz` makes them (RFC 1952, section 2.2); deflate means zlib's format
(RFC 9110, section 8.4.1.2), and what some clients send under that name is the bare stream of RFC 1951.
"""

import zlib
from collections.abc import Iterator
from typing import Final

STEP_BYTES: Final = 1024 * 1024
_GZIP_BITS: Final = 16 + zlib.MAX_WBITS


class InflateError(Exception):
    """The bytes are not what the coding says, or they are cut off."""


class Inflater:
    """Inflates one body, block by block."""

    def __init__(self, coding: str) -> None:
        """`coding`: gzip or deflate; any other word: nothing is done."""
        self._coding = coding
        self._stream: zlib._Decompress | None = None

    def feed(self, block: bytes) -> Iterator[bytes]:
        """Yield what a block holds, at most `STEP_BYTES` at a time, so that the reader may stop in between.

        Raises:
            InflateError: see above.
        """
        if self._coding not in {"gzip", "deflate"}:
            yield block
            return
        while block:
            if self._stream is None:
                self._stream = self._begin(block)
            stream = self._stream
            try:
                plain = stream.decompress(block, STEP_BYTES)
            except zlib.error:
                raise InflateError from None
            if plain:
                yield plain
            block = stream.unconsumed_tail
            if stream.eof:
                block, self._stream = stream.unused_data, None
                if block and self._coding != "gzip":
                    raise InflateError

    def end(self) -> None:
        """Say that there is no more.

        Raises:
            InflateError: there should be.
        """
        if self._stream is not None:
            raise InflateError

    def _begin(self, block: bytes) -> "zlib._Decompress":
        if self._coding == "gzip":
            return zlib.decompressobj(_GZIP_BITS)
        # The low half of zlib's first byte is 8 (RFC 1950, section 2.2).
        return zlib.decompressobj(zlib.MAX_WBITS if block[0] & 15 == 8 else -zlib.MAX_WBITS)
