"""This machine: identity, capacity, health, availability, speed."""
