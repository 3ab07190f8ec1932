"""Follow a scan while it runs: progress, events, webhook."""
