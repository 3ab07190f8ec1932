"""Figures of a report: what is computed from a store."""
