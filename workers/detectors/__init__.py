"""Detectors: what they are (cards) and how they run (runtimes)."""
