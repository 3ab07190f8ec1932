"""Exit codes of the commands."""

from __future__ import annotations

DONE = 0
FAILED = 1
# 2 is Click's own, for wrong usage.
# Done, but some images could not be read.
INCOMPLETE = 3
# A required service (broker, store) is unavailable.
UNAVAILABLE = 4
# `--fail-on` matched.
FAIL_ON = 5
INTERRUPTED = 130
# The output was closed (`| head`) before everything was printed: as of a process that SIGPIPE ends.
CLOSED_OUTPUT = 141
