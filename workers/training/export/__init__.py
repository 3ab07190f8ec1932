"""From a trained network to a model that ships with its card."""
