"""What is in the wheel, and that what is installed from it works."""

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
# Folders that are one machine's own, and what names a package index that is not the public one.
CHECKOUT = re.escape(str(ROOT).encode())
PLACES = re.compile(rb"/(?:root|work|Users)/\w|file://|index-url|" + CHECKOUT)


@pytest.fixture(scope="module")
def wheel() -> Iterator[zipfile.ZipFile]:
    """The wheel that bin/test has built and installed."""
    path = os.environ.get("SCANNER_TEST_WHEEL")
    if not path:
        pytest.skip("bin/test builds the wheel; plain pytest has none")
    with zipfile.ZipFile(path) as opened:
        yield opened


def test_the_wheel_holds_all_that_is_not_python(wheel: zipfile.ZipFile) -> None:
    """Type markers, licences, migrations, models and their cards are shipped."""
    names = wheel.namelist()

    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert ["LICENSE", "NOTICE"] == sorted(
        Path(name).name for name in names if "/licenses/" in name
    )
    assert [
        name for name in names if re.match(r"storage/database/migrations/versions/\w+\.py$", name)
    ]
    assert {"scanner/web/templates/base.html", "scanner/web/static/style.css"} <= set(names)
    assert [name for name in names if re.match(r"workers/models/objects-32.*\.tflite$", name)]
    assert [name for name in names if re.match(r"workers/models/objects-32.*\.toml$", name)]


def test_the_wheel_installs_its_packages_and_nothing_beside_them(wheel: zipfile.ZipFile) -> None:
    """No tests, documents or tools of the repository end up in site-packages."""
    tops = {name.split("/")[0] for name in wheel.namelist()}

    assert set(PACKAGES) == {top for top in tops if not top.endswith(".dist-info")}


def test_the_wheel_names_no_place(wheel: zipfile.ZipFile) -> None:
    """No file tells of the machine that it was made on."""
    telling = [name for name in wheel.namelist() if PLACES.search(wheel.read(name))]

    assert [] == telling


def test_the_wheel_is_small(wheel: zipfile.ZipFile) -> None:
    """It is sent to Raspberry Pis: three nets of 7 MB, and little else."""
    size_bytes = sum(entry.compress_size for entry in wheel.infolist())

    assert size_bytes < 22_000_000


def test_the_tests_run_on_what_is_installed(wheel: zipfile.ZipFile) -> None:
    """None of the packages comes from the checkout."""
    installed = Path(sysconfig.get_path("purelib"))
    for package in PACKAGES:
        module = __import__(package)

        assert installed / package == Path(module.__file__ or "").parent


@pytest.mark.parametrize(
    ("lock", "extras"),
    [("worker.txt", ["postgres", "web"]), ("dev.txt", ["dev"]), ("train.txt", ["train"])],
)
def test_a_lock_holds_what_the_project_asks_for(lock: str, extras: list[str]) -> None:
    """Each dependency is locked at a version that it allows, with hashes, from no named place."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = project["dependencies"] + [
        line for extra in extras for line in project["optional-dependencies"][extra]
    ]
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


def test_the_command_is_installed_and_knows_its_version() -> None:
    """`scanner --version` prints the version of the distribution."""
    command = Path(sysconfig.get_path("scripts"), "scanner")
    if not command.exists():
        pytest.skip("the project is not installed here")
    result = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)

    assert 0 == result.returncode
    assert metadata.version("ai-photo-scanner") in result.stdout
