"""The wheel: its contents, its installation, and the lock files."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PACKAGES = ("scanner", "storage", "workers")
# Folders of the build machine, and names of package indexes.
CHECKOUT = re.escape(str(ROOT).encode())
PLACES = re.compile(rb"/(?:root|work|Users)/\w|file://|index-url|" + CHECKOUT)


@pytest.fixture(scope="module")
def wheel() -> Iterator[zipfile.ZipFile]:
    """Open the wheel that bin/test has built and installed."""
    path = os.environ.get("SCANNER_TEST_WHEEL")
    if not path:
        pytest.skip("bin/test builds the wheel; plain pytest has none")
    with zipfile.ZipFile(path) as opened:
        yield opened


def test_wheel_contains_data_files(wheel: zipfile.ZipFile) -> None:
    """The wheel contains type markers, licences, migrations, models and their cards."""
    names = wheel.namelist()

    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert ["LICENSE", "NOTICE"] == sorted(
        Path(name).name for name in names if "/licenses/" in name
    )
    assert [
        name for name in names if re.match(r"storage/database/migrations/versions/\w+\.py$", name)
    ]
    assert {"scanner/web/templates/base.html", "scanner/web/static/style.css"} <= set(names)
    assert "scanner/translations/zh_Hant/LC_MESSAGES/scanner.mo" in names
    assert [name for name in names if re.match(r"workers/models/objects-32.*\.tflite$", name)]
    assert [name for name in names if re.match(r"workers/models/objects-32.*\.toml$", name)]
    assert [name for name in names if re.match(r"workers/provenance/trust/c2pa-.*\.json$", name)]


def test_wheel_contains_only_its_packages(wheel: zipfile.ZipFile) -> None:
    """The wheel contains no tests, documents or tools of the repository."""
    tops = {name.split("/")[0] for name in wheel.namelist()}

    assert set(PACKAGES) == {top for top in tops if not top.endswith(".dist-info")}


def test_wheel_mentions_no_build_machine(wheel: zipfile.ZipFile) -> None:
    """No file in the wheel mentions a folder or package index of the build machine."""
    leaking = [name for name in wheel.namelist() if PLACES.search(wheel.read(name))]

    assert [] == leaking


def test_wheel_is_small(wheel: zipfile.ZipFile) -> None:
    """The wheel is small enough for Raspberry Pis: three models of 7 MB, and little else."""
    size_bytes = sum(entry.compress_size for entry in wheel.infolist())

    assert size_bytes < 22_000_000


def test_tests_import_the_installed_packages(wheel: zipfile.ZipFile) -> None:
    """The tests import every package from the installation, not from the checkout."""
    installed = Path(sysconfig.get_path("purelib"))
    for package in PACKAGES:
        module = __import__(package)

        assert installed / package == Path(module.__file__ or "").parent


@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        ("worker.txt", ["postgres"]),
        ("dev.txt", ["dev"]),
        ("train.txt", ["train"]),
        ("docs.txt", ["docs"]),
    ],
)
def test_lock_file_covers_the_requirements(lock: str, extras: list[str]) -> None:
    """Each requirement is locked at an allowed version, with hashes, and without an index."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [line for extra in extras for line in project["optional-dependencies"][extra]]
    if lock != "docs.txt":  # the documentation is built without the project
        wanted += project["dependencies"]
    text = (ROOT / "requirements" / lock).read_text("utf-8")
    locked = re.findall(r"^([a-z0-9-]+)==([^ ;]+)[^\n]* \\\n    --hash=sha256:", text, re.MULTILINE)
    requirements = [Requirement(line) for line in wanted]
    missing = [
        str(requirement)
        for requirement in requirements
        if requirement.name != project["name"]
        and not any(
            canonicalize_name(requirement.name) == name and version in requirement.specifier
            for name, version in locked
        )
    ]

    assert [] == missing
    assert [] == re.findall(r"://|^-[^-]|^--", text, re.MULTILINE)
    assert text.count("==") >= len(locked) > len(requirements)


def test_installed_command_prints_its_version() -> None:
    """`scanner --version` prints the version of the distribution."""
    command = Path(sysconfig.get_path("scripts"), "scanner")
    if not command.exists():
        pytest.skip("the project is not installed here")
    result = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)

    assert 0 == result.returncode
    assert metadata.version("ai-photo-scanner") in result.stdout
