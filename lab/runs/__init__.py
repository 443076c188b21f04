"""The layout of a run directory: written, read, packed. No other room knows it."""
