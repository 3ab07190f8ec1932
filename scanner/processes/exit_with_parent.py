"""Run a program that ends when its parent process does.

Usage: `python -I -S exit_with_parent.py PARENT_PID PROGRAM ARGUMENT…`. A script takes 20 ms, but
`preexec_fn` would run Python code in a fork of a process with threads, which can deadlock and
which Python 3.12 warns about.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def request_signal(parent_pid: int) -> bool:
    """Have the kernel send SIGTERM to this process when its parent ends, on Linux.

    Return False if the parent has ended already.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    return os.getppid() == parent_pid


def main() -> None:
    """Request the signal, then become the program."""
    parent_pid, *argv = sys.argv[1:]
    if not request_signal(int(parent_pid)):
        sys.exit(1)
    # Python ignores these two, and the program would inherit that.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(argv[0], argv)  # noqa: S606  # no shell is wanted
    except OSError as error:
        sys.exit(f"cannot start {argv[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
