"""All that knows Celery or Redis: app, consumer, messages, leases, heartbeat, handshake."""
