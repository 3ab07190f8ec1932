"""Measure a network or a detector on labelled images."""
