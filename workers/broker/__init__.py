"""Everything that uses Celery or Redis: app, consumer, messages, leases, heartbeat, handshake."""
