"""Become another program that ends when the process that started it does.

Run as a script: `python -I -S die_with_parent.py PARENT_PID PROGRAM ARGUMENT…`. A script between,
and not `preexec_fn`, because that one forks a process that may have threads, which can deadlock
in the child and which Python 3.12 warns of. It costs 20 ms.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def ask_for_death_signal(parent_pid: int) -> bool:
    """Have the kernel send SIGTERM to this process when its parent ends.

    False when the parent has ended already, or before the kernel could be asked. Linux only; on
    other systems nothing is asked for and the answer is True.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    return os.getppid() == parent_pid


def main() -> None:
    """Ask for the signal, then become the program."""
    parent_pid, *argv = sys.argv[1:]
    if not ask_for_death_signal(int(parent_pid)):
        sys.exit(1)
    # Python ignores these two, and what is ignored stays so in the program that follows.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(argv[0], argv)  # noqa: S606  # no shell is wanted
    except OSError as error:
        sys.exit(f"cannot start {argv[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
