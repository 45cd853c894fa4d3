"""Pure: text of any shape to rows and row errors; presets, candidates, addresses."""
