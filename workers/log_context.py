"""The scan and the batch that a thread is at, for the lines that it logs."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

P = ParamSpec("P")
T = TypeVar("T")

_at: ContextVar[dict[str, int]] = ContextVar("at_work", default={})  # noqa: B039 - never changed


@contextmanager
def at_work(scan_id: int, batch_id: int) -> Iterator[None]:
    """What is logged within it, by this thread or by `of_same_work` in another, is about them."""
    token = _at.set({"scan": scan_id, "batch": batch_id})
    try:
        yield
    finally:
        _at.reset(token)


def work_now() -> dict[str, int]:
    """The scan and the batch that this thread is at; empty where it is at none."""
    return _at.get()


def of_same_work(function: Callable[P, T]) -> Callable[P, T]:
    """The function for another thread, which by itself would not know what this one is at."""
    return partial(copy_context().run, function)
