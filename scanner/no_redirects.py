"""Requests with urllib that follow no redirect."""

from __future__ import annotations

import urllib.request


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """No redirects: a key would go to another server, and a POST become a GET without a body."""

    def redirect_request(self, *_: object) -> None:
        """Follow no redirect."""
