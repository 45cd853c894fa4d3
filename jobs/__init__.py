"""I/O: what arq runs: jobs that drain requests, write reports and sweep up after the dead."""
