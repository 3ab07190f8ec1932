"""One file per command: its options, its exit code, nothing else."""
