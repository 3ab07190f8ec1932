"""Child processes, the embedded broker, locks and atomic writes."""
