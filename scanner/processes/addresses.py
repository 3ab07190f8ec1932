"""Addresses of this machine: who reaches them, and what others call them."""

from __future__ import annotations

import ipaddress
import socket


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host's name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_wildcard(address: str) -> bool:
    """Whether it stands for every address of this machine."""
    return address in {"0.0.0.0", "::", "*"}  # noqa: S104 - it is only compared


def in_url(address: str) -> str:
    """What stands in a URL, by which others reach an address that this machine listens on.

    Where it listens on all of them, the usual one.
    """
    where = _usual() if is_wildcard(address) else address
    return f"[{where}]" if ":" in where else where


def _usual() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # No packet is sent: it only asks which way one would go.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])
