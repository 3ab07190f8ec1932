"""Run a command, and stop it by SIGTERM some seconds after its first line; exit with its code.

    python stop_later.py SECONDS COMMAND…

How long a command takes to start depends on what else the machine does.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading


def main(seconds: float, *command: str) -> int:
    """Run the command, copy what it says to stdout, and return its exit code."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        said = process.stdout
        sys.stdout.buffer.write(said.readline())
        copying = threading.Thread(target=lambda: sys.stdout.buffer.writelines(said))
        copying.start()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.terminate()
        copying.join()
    sys.stdout.flush()
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), *sys.argv[2:]))
