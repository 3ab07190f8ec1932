"""Child processes, the embedded broker, locks, logs and atomic writes."""
