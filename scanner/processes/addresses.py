"""Addresses that this machine listens on."""

from __future__ import annotations

import ipaddress
import socket


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_wildcard(address: str) -> bool:
    """Return whether an address stands for all addresses of this machine."""
    return address in {"0.0.0.0", "::", "*"}  # noqa: S104 - it is only compared


def in_url(address: str) -> str:
    """Return the host part of a URL by which other machines reach an address of this one."""
    host = _default_address() if is_wildcard(address) else address
    return f"[{host}]" if ":" in host else host


def _default_address() -> str:
    """Return the address of the default route, else the hostname."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Sends no packet, only selects the route.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])
