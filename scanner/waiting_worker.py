"""`python -m scanner.waiting_worker` is `scanner worker` that waits for its environment.

It imports what a worker needs, then reads as JSON from stdin, up to its end, the file of its log
and the environment. If there is nothing, its parent has nothing to do.
"""

from __future__ import annotations

import json
import os
import sys

from scanner.cli import main
from scanner.processes.imports import import_all

if __name__ == "__main__":
    import_all("scanner.commands.worker", "scanner.fleet.worker")
    if message := sys.stdin.read():
        log, environment = json.loads(message)
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
        for output in (1, 2):
            os.dup2(descriptor, output)
        os.close(descriptor)
        os.environ.update(environment)
        main(["worker", *sys.argv[1:]])
