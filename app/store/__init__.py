"""I/O: PostgreSQL, the one truth. Nothing else in the project speaks SQL's protocol."""
