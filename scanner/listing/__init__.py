"""From a folder to batches: walk, patterns, labels."""
