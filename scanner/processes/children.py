"""Start and stop child processes that Ctrl-C in a terminal does not reach."""

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

LAUNCHER = Path(__file__).with_name("exit_with_parent.py")


def start(  # noqa: PLR0913 - named, as those of Popen are
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    output: int | IO[bytes] | None = None,
    inherited: Sequence[int] = (),
    umask: int = -1,
) -> subprocess.Popen[bytes]:
    """Start a program in its own session, with stdout and stderr going to `output`.

    It keeps the file descriptors `inherited` open, and with them the locks on these files; its
    `umask` is this process' own by default.

    On Linux the program gets SIGTERM when the calling *thread* ends, so call from a thread that
    lives long enough, usually the main thread. A program that cannot be started exits with 1 and
    one sentence on `output`.
    """
    # -I and -S: independent of the user's environment and of site-packages, which take time.
    launcher = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid())]
    return subprocess.Popen(  # noqa: S603  # a list, no shell
        [*launcher, *argv],
        env=env,
        cwd=cwd,
        stdin=stdin,
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        start_new_session=True,
        pass_fds=inherited,
        umask=umask,
    )


def environment(**settings: str) -> dict[str, str]:
    """Return the environment, with some settings added, of a child that runs one of our modules.

    The child imports our packages from where this process did, and nothing from its working
    folder, which may be a folder of images with a `json.py` in it.
    """
    home = str(Path(__file__).resolve().parents[2])
    paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": os.pathsep.join(paths),
        **settings,
    }


def stop(process: subprocess.Popen[bytes], grace_s: float) -> int:
    """Terminate a process, kill it after `grace_s` seconds, and return its exit status.

    Its children in the same process group are killed, too.
    """
    process.terminate()
    try:
        process.wait(grace_s)
    except subprocess.TimeoutExpired:
        process.kill()
    status = process.wait()
    # The pid is also the group's number, which is not reused while the group has members.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    return status
