"""Queries on a store: progress, aggregates, pages of images, filters."""
