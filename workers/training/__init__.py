"""Training, evaluation and export of the nets that ship; needs the `train` extra."""
