"""The exit codes, each with its meaning, and the errors that carry them."""

from __future__ import annotations

import click

DONE = 0
FAILED = 1
# 2 is Click's own, for wrong usage.
# Done, but some images could not be read.
INCOMPLETE = 3
# A service that is needed (broker, store) is not there.
UNAVAILABLE = 4
# What `--fail-on` asked about was found.
FAIL_ON = 5
INTERRUPTED = 130


class Failed(click.ClickException):
    """It could not be done; the message is one sentence for the user."""

    exit_code = FAILED


class Unavailable(click.ClickException):
    """A needed service is not there; the message says which, and how to get it."""

    exit_code = UNAVAILABLE
