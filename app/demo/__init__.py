"""I/O: the demonstration: mail servers of our own on the loopback, a file of mailboxes, and the real service.

Nothing of it is used outside `bulk-connect demo` and the tests.
"""
