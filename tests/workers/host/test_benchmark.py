"""The speed of a machine with built-in and other models."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from scanner.cli import cli
from workers.host.benchmark import (
    BenchmarkFailed,
    Subject,
    built_in_subjects,
    measure,
    subject_of_file,
)

MODELS = Path(__file__).parents[1] / "detectors" / "models"


def picture(side: int) -> bytes:
    """Return an image of that size."""
    file = io.BytesIO()
    Image.new("RGB", (side, side), (200, 10, 30)).save(file, "PNG")
    return file.getvalue()


def test_consistent_figures() -> None:
    """The rate follows from the times to decode and infer; non-images are skipped."""
    for subject, side in zip(built_in_subjects(), (32, 224), strict=True):
        speed = measure(subject, [picture(300), b"junk", picture(32)], 0.05)

        assert speed is not None
        assert speed.images_per_second == pytest.approx(
            1000 / (speed.decode_ms + speed.infer_ms), rel=1e-6
        )
        assert speed.images >= 1
        assert ("LiteRT int8", side) == (speed.runtime, speed.side)


def test_a_file_of_floats() -> None:
    """Any model with one image as its input can be measured, at its own size."""
    path = MODELS / "small.tflite"
    speed = measure(subject_of_file(path), [picture(300)], 0.05)

    assert speed is not None
    assert ("small", "LiteRT float") == (speed.model, speed.runtime)
    assert path.stat().st_size / 1e6 == speed.size_mb


def test_no_image() -> None:
    """Without a decodable image there is no result."""
    assert measure(built_in_subjects()[0], [b"junk", b""], 0.01) is None


def test_failures(tmp_path: Path) -> None:
    """A model that crashes, or a file that is not a model, raises an error with a clear message."""
    with pytest.raises(BenchmarkFailed, match=r"huge ended the process .* enough memory"):
        # It ends its process, as one does for which there is no memory.
        measure(Subject("huge", 1, os.abort), [picture(32)], 0.01)
    broken = tmp_path / "a.tflite"
    broken.write_bytes(b"no model")
    with pytest.raises(BenchmarkFailed, match=r"a\.tflite cannot be run by LiteRT"):
        measure(subject_of_file(broken), [picture(32)], 0.01)


def test_the_command(home: Path, tmp_path: Path) -> None:
    """The command measures the built-in model at both sizes and the given files."""
    pytest.importorskip("tensorflow")
    (tmp_path / "a.png").write_bytes(picture(64))
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"no model")
    asked = ["--seconds", "0.1", "--images", str(tmp_path), str(broken)]
    done = CliRunner().invoke(cli, ["bench", *asked, str(MODELS / "small.tflite"), "--json"])
    speeds = json.loads(done.stdout)["speeds"]

    assert 1 == done.exit_code
    assert "broken.tflite cannot be run by LiteRT" in done.stderr
    assert [
        ("objects-32", "LiteRT int8", 32),
        ("objects-32", "LiteRT int8", 224),
        ("objects-32", "TensorFlow float", 32),
        ("objects-32", "TensorFlow float", 224),
    ] == [(one["net"], one["runtime"], one["side"]) for one in speeds[:4]]
    assert ["small"] == [one["net"] for one in speeds[4:]]
    for one in speeds:
        # The rate is rounded, too.
        assert one["seconds_for_10905"] == pytest.approx(10905 / one["images_per_second"], rel=0.01)


def test_without_tensorflow(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without TensorFlow only LiteRT is measured."""
    monkeypatch.setitem(sys.modules, "workers.training", None)
    done = CliRunner().invoke(cli, ["bench", "--seconds", "0.1"])
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("objects-32")]

    assert 0 == done.exit_code
    assert [["objects-32", "LiteRT", "int8", side] for side in ("32", "224")] == [
        row[:4] for row in rows
    ]
    done = CliRunner().invoke(cli, ["bench", "--make", "nets"])
    assert "--make needs TensorFlow, which is not installed" in done.stderr


def test_a_folder_without_images(home: Path, tmp_path: Path) -> None:
    """A folder without images is one clear error."""
    done = CliRunner().invoke(cli, ["bench", "--images", str(tmp_path)])

    assert 1 == done.exit_code
    assert "has no image that can be decoded" in done.output
