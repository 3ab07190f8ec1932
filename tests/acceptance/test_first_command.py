"""The README's first command, in a fresh clone."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Copy the files of the repository, without anything that was built in it."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout.decode()
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / "clone" / name)
    return tmp_path / "clone"


@pytest.mark.timeout(900)
def test_bin_scan_sets_up_and_scans(clone: Path) -> None:
    """`bin/scan` installs the locked packages, draws samples, and reports on them."""
    first = subprocess.run([clone / "bin" / "scan"], capture_output=True, text=True, check=False)

    assert 3 == first.returncode, first.stdout + first.stderr
    assert "4 of 14 images look AI-generated" in first.stdout

    # The second time it has nothing to set up.
    again = subprocess.run(
        [clone / "bin" / "scan", clone / "bin", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == again.returncode, again.stderr
    assert 0 == json.loads(again.stdout)["images"]
    assert "setting up" not in again.stderr

    # Any other command, by a link from elsewhere.
    (clone.parent / "scanner").symlink_to(clone / "bin" / "scanner")
    report = subprocess.run(
        [clone.parent / "scanner", "report", "1"], capture_output=True, text=True, check=False
    )

    assert 0 == report.returncode, report.stderr
    assert "4 of 14 images look AI-generated" in report.stdout
    assert "" == report.stderr
