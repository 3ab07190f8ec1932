"""What runs where the pixels are: from a batch on the queue to verdicts in the store."""
