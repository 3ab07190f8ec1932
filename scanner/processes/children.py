"""Start a program that a terminal's Ctrl-C does not reach and that dies with us; stop it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LAUNCHER = Path(__file__).with_name("die_with_parent.py")


def start(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    output: int | IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Start `argv` in a session of its own; `output` takes its stdout and its stderr.

    On Linux it gets SIGTERM when the *thread* that called this ends, so call it from one that
    lives as long as the program should: the main thread, as a rule. A program that cannot be
    started exits at once, with 1 and a sentence on `output`.
    """
    # -I and -S: neither the user's environment nor site-packages have a say, or cost time.
    launcher = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid())]
    return subprocess.Popen(  # noqa: S603  # a list, no shell
        [*launcher, *argv],
        env=env,
        cwd=cwd,
        stdin=stdin,
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        start_new_session=True,
    )


def environment(**settings: str) -> dict[str, str]:
    """This process's environment and these settings, for a `python -m` with one of our packages.

    It finds them where we did, and looks for no module in the folder that it is started in: that
    may be one of somebody's pictures, with a `json.py` among them.
    """
    home = str(Path(__file__).resolve().parents[2])
    paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": os.pathsep.join(paths),
        **settings,
    }


def stop(process: subprocess.Popen[bytes], grace_s: float) -> int:
    """Ask `process` to end, kill it after `grace_s` seconds; its exit status.

    What is left of its session's first process group after that is killed too, so that no child
    outlives a parent that was killed.
    """
    process.terminate()
    try:
        process.wait(grace_s)
    except subprocess.TimeoutExpired:
        process.kill()
    status = process.wait()
    # Its pid is its group's number, and is not given out again while the group has members.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    return status
