"""End a child process when its parent does, whatever it is doing at that time.

A killed parent cannot end its child, and a child that hangs in native code does not notice that its
parent is gone.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def end_with_parent(parent_pid: int, pipe: int) -> None:
    """Have this process end when the thread that started it does, or its parent as a whole.

    On Linux the kernel kills it. Elsewhere a thread of its own ends it when the parent's end of the
    pipe is closed, unless native code holds the interpreter. Raises OSError.
    """
    if sys.platform.startswith("linux"):
        library = ctypes.CDLL(None, use_errno=True)
        if library.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL)) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
    else:
        exit_at_hangup(pipe)
    # It may have ended before.
    if os.getppid() != parent_pid:
        os._exit(1)


def exit_at_hangup(pipe: int) -> None:
    """Start a thread that ends this process when the other end of the pipe is closed."""

    def wait() -> None:
        hangup = select.poll()
        hangup.register(pipe, 0)
        hangup.poll()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
