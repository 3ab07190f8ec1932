"""The scan and the batch that a thread works on, for its log lines."""

from __future__ import annotations

from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from structlog.contextvars import bound_contextvars

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

P = ParamSpec("P")
T = TypeVar("T")


def log_batch(scan_id: int, batch_id: int) -> AbstractContextManager[None]:
    """Name the scan and the batch in the lines logged within this context.

    Another thread logs within it if it runs a function wrapped in `with_log_context`.
    """
    return bound_contextvars(scan=scan_id, batch=batch_id)


def with_log_context(function: Callable[P, T]) -> Callable[P, T]:
    """Return the function bound to this thread's log context, for another thread to call."""
    return partial(copy_context().run, function)
