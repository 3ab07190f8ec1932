"""From batches to machines: producer, hub, join, rescuer, preflight, file server."""
