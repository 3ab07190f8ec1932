"""The stop flag that a worker shares with its children."""

from __future__ import annotations

import os

import pytest

from workers.batch.stopping import StopFlag


def test_not_set_at_first() -> None:
    """A new flag is not set, and each worker has its own."""
    flag, other = StopFlag(), StopFlag()
    flag.set()

    assert flag.is_set()
    assert not other.is_set()


# The child does nothing but look; what it is warned of (Python 3.12 on) are locks that others hold.
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_children_see_it() -> None:
    """A child that was forked earlier sees the flag when its parent sets it."""
    flag = StopFlag()
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        # Seen before and after: 1 for set.
        before = flag.is_set()
        os.write(theirs, b"?")
        while not flag.is_set():
            pass
        os._exit(10 * before + flag.is_set())
    os.read(ours, 1)
    flag.set()
    _, status = os.waitpid(child, 0)
    os.close(ours)
    os.close(theirs)

    assert 1 == os.waitstatus_to_exitcode(status)
