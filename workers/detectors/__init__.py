"""Detectors: their cards, and the runtimes of their models."""
