"""The scan and the batch that a thread works on, for its log lines."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

P = ParamSpec("P")
T = TypeVar("T")

_NOTHING: Mapping[str, int] = MappingProxyType({})
_context: ContextVar[Mapping[str, int]] = ContextVar("log context", default=_NOTHING)


@contextmanager
def log_batch(scan_id: int, batch_id: int) -> Iterator[None]:
    """Name the scan and the batch in the lines logged within this context.

    Another thread logs within it if it runs a function wrapped in `with_log_context`.
    """
    token = _context.set({"scan": scan_id, "batch": batch_id})
    try:
        yield
    finally:
        _context.reset(token)


def log_context() -> Mapping[str, int]:
    """Return `scan` and `batch` of the work that this thread does, nothing outside of a batch."""
    return _context.get()


def with_log_context(function: Callable[P, T]) -> Callable[P, T]:
    """Return the function bound to this thread's log context, for another thread to call."""
    return partial(copy_context().run, function)
