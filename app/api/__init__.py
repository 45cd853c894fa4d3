"""I/O: HTTP in, HTTP out. One file per group of endpoints."""
