"""Training, evaluation and export of the built-in models; needs the `train` extra."""
