"""Decoding every file of two public suites of broken, odd and malicious images."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from storage.records import ErrorKind

if TYPE_CHECKING:
    from pathlib import Path

# Each file as a worker sees it; warnings are errors, so that one that leaks is noticed.
OURS = """
import json, pathlib, re, sys, time
from workers.images.decode import decode
from workers.images.errors import DecodeError
root, found = pathlib.Path(sys.argv[1]), {}
for path in sorted(path for path in root.rglob("*") if path.is_file()):
    data, started = path.read_bytes(), time.monotonic()
    try:
        decoded = decode(data)
        header = decoded.header
        answer = ["ok", [header.format, header.width, header.height], list(decoded.pixels.shape)]
    except DecodeError as error:
        answer = [error.kind, str(error), []]
    found[str(path.relative_to(root))] = [*answer, time.monotonic() - started]
# Not getrusage's peak: that is at least what the process that started this one had.
status = pathlib.Path("/proc/self/status")
peak = int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) if status.exists() else 0
print(json.dumps({"found": found, "peak": peak}))
"""

# The same files through Pillow's front door, whatever it may say on the way.
PILLOW = """
import json, pathlib, sys, warnings
import pi_heif
from PIL import Image
warnings.simplefilter("ignore")
pi_heif.register_heif_opener()
root, found = pathlib.Path(sys.argv[1]), {}
for path in sorted(path for path in root.rglob("*") if path.is_file()):
    image = None
    try:
        with Image.open(path) as image:
            size = image.size
            image.load()
        answer = ["ok", [{"MPO": "JPEG"}.get(image.format, image.format), *size]]
    except Exception as error:
        answer = [str(error), [image.format if image else None]]
    found[str(path.relative_to(root))] = answer
print(json.dumps(found))
"""

DECODED = {"JPEG", "PNG", "WEBP", "AVIF", "HEIF", "GIF", "BMP", "TIFF"}


@pytest.fixture(scope="module")
def hostile(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the unpacked files."""
    folder = tmp_path_factory.mktemp("hostile")
    with zipfile.ZipFile(test_data / "hostile.zip") as archive:
        archive.extractall(folder)
    return folder


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=True,
        text=True,
        timeout=240,
    )


@pytest.fixture(scope="module")
def ours(hostile: Path) -> dict[str, Any]:
    """Return the result of `decode` for each file, and the peak memory."""
    done = _run("-W", "error", "-c", OURS, hostile)

    assert "" == done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.fixture(scope="module")
def pillow(hostile: Path) -> dict[str, Any]:
    """Return the result of Pillow for each file."""
    result: dict[str, Any] = json.loads(_run("-c", PILLOW, hostile).stdout)
    return result


def test_every_file_is_accounted_for(ours: dict[str, Any]) -> None:
    """1,199 files give 1,199 results: pixels, or an error of one line."""
    counts = Counter(answer[0] for answer in ours["found"].values())

    assert 1199 == counts.total()
    assert {"ok", "not_an_image", "unsupported", "truncated", "damaged", "too_large"} == set(counts)
    for name, (kind, text, _, _) in ours["found"].items():
        assert kind == "ok" or (kind in set(ErrorKind) and len(text.splitlines()) == 1), name


def test_memory_and_time_stay_small(ours: dict[str, Any]) -> None:
    """Decoding any file takes less than 400 MiB and 30 seconds."""
    if sys.platform == "linux":
        assert 0 < ours["peak"] * 1024 < 400 * 2**20
    assert [] == [name for name, answer in ours["found"].items() if answer[3] > 30]


def test_decoded_files_match_pillow(ours: dict[str, Any], pillow: dict[str, Any]) -> None:
    """The same files are decoded as by Pillow, with the same format and size."""
    good = {name: answer[1] for name, answer in ours["found"].items() if answer[0] == "ok"}

    assert {
        name: told for name, (says, told) in pillow.items() if says == "ok" and told[0] in DECODED
    } == good


def test_truncated_files_are_truncated(ours: dict[str, Any], pillow: dict[str, Any]) -> None:
    """Files that Pillow calls truncated are truncated here, or too large."""
    kinds = {
        ours["found"][name][0]
        for name, (says, told) in pillow.items()
        if "truncated" in says.lower() and told[0] in DECODED
    }

    assert {"truncated", "too_large"} == kinds


def test_decoded_files_have_all_pixels(ours: dict[str, Any]) -> None:
    """Pixels have the shape of the header, or a fraction of it where the image is large."""
    for name, (kind, header, shape, _) in ours["found"].items():
        if kind == "ok":
            _, width, height = header
            fits = shape == [height, width, 3]

            assert fits if max(width, height) < 1024 else 512 <= max(shape) < 1024, name
