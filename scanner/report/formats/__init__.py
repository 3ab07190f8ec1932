"""Formats of a report: JSON, CSV, Parquet, HTML."""
