"""A report as text: tables and sentences."""
