"""I/O: `python -m app` is the command `bulk-connect`."""

from app.cli import main

if __name__ == "__main__":
    main()
