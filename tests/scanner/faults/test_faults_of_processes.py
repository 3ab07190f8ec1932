"""Processes that commands start: what is wrong is a line of their log, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from commands import CLOSED, PASSWORD

if TYPE_CHECKING:
    from commands import Here

FAULTS = {
    "no store": ("STORE", "nowhere.db", "Store not found"),
    "store of another program": ("STORE", "model.onnx", "file is not a database"),
    "broker that is away": ("BROKER", CLOSED, "is not available"),
    "no broker": ("BROKER", "laptop", "invalid Redis URL"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("module", ["scanner.fleet.rescuer", "scanner.fleet.result_writer"])
def test_process_that_cannot_work(here: Here, module: str, fault: str) -> None:
    """It ends with exit code 1 and one line."""
    name, value, said = FAULTS[fault]
    urls = {"SCANNER_STORE_URL": str(here.store), "SCANNER_BROKER_URL": CLOSED}
    urls[f"SCANNER_{name}_URL"] = str(here.folder / value) if name == "STORE" else value
    env = os.environ | urls | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-m", module], env=env, capture_output=True, text=True, check=False
    )

    assert 1 == done.returncode
    assert said in done.stderr
    assert 1 == done.stderr.count("\n")
    assert PASSWORD not in done.stderr
