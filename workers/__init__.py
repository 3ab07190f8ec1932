"""The workers: from a batch on the queue to its verdicts, on the machines that have the images."""
