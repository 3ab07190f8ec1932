"""Findings taken to where photographs live: sidecars, files, servers of photo libraries."""
