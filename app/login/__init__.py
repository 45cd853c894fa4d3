"""I/O: one check of one login: resolve, connect, tls, greet, auth, select."""
