"""Write a detector's card: where the code of training looks for it."""

from workers.detectors.toml import to_toml

__all__ = ["to_toml"]
