"""Import what a process needs at once."""

from __future__ import annotations

import gc
import importlib


def import_all(*names: str) -> None:
    """Import modules without looking for garbage, of which imports leave none: a tenth of the time.

    What is there afterwards is never looked at again, so that forked processes share it.
    """
    gc.disable()
    for name in names:
        importlib.import_module(name)
    gc.freeze()
    gc.enable()
