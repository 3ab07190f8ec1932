"""The documentation site."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs")

ROOT = Path(__file__).parents[1]


def test_site_builds_without_warnings(tmp_path: Path) -> None:
    """MkDocs builds every page; a broken link or a page missing from the menu fails the build."""
    arguments = ["build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    pages = {page.relative_to(ROOT / "docs") for page in (ROOT / "docs").rglob("*.md")}
    built = {page.relative_to(tmp_path / "site") for page in (tmp_path / "site").rglob("*.html")}

    assert 0 == done.returncode, done.stdout + done.stderr
    for page in pages:
        location = page.parent if page.name == "index.md" else page.with_suffix("")

        assert location / "index.html" in built
