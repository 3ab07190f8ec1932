"""The store of a scan read back: aggregates, figures and their tables."""
