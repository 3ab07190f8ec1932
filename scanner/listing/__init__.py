"""List a folder's images: walk, patterns, labels, batches."""
