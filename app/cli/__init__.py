"""I/O: the command `bulk-connect`. One module for each kind of command; `root` says what ends how."""

from app.cli.root import main

__all__ = ["main"]
