"""Ports for the servers that tests start."""

from __future__ import annotations

import random
import socket

# Below the ports that systems give out by themselves (32768 and up on Linux), so that nothing else
# takes one between the look and the start of the server.
_PORTS = range(10_000, 32_000)


def free_port() -> int:
    """Return a port of 127.0.0.1 that is not in use, nor is the next, where a hub has its share."""
    while True:
        port = random.choice(_PORTS)
        try:
            for taken in (port, port + 1):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", taken))
        except OSError:
            continue
        return port
