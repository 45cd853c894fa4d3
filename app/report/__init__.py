"""Pure: what users read: CSV rows, summaries, advice, JSON payloads."""
