"""How fast a machine is, by its own clock."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from PIL import Image

from scanner.commands.bench import command
from workers.speed import measure

if TYPE_CHECKING:
    from pathlib import Path


def picture(side: int) -> bytes:
    """A picture of that size."""
    file = io.BytesIO()
    Image.new("RGB", (side, side), (200, 10, 30)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("side", [32, 224])
def test_figures_that_fit(side: int) -> None:
    """The rate is what decoding and inferring come to; what is no picture is passed over."""
    found = measure([picture(300), b"junk", picture(32)], side, 0.05)

    assert found is not None
    assert found.images_per_second == pytest.approx(
        1000 / (found.decode_ms + found.infer_ms), rel=1e-6
    )
    assert found.images >= 1
    assert side == found.side


def test_no_picture() -> None:
    """Where nothing can be decoded there is no figure."""
    assert measure([b"junk", b""], 32, 0.01) is None


def test_the_command(home: Path, tmp_path: Path) -> None:
    """Both sizes, with the time for the comparison's number of images."""
    (tmp_path / "a.png").write_bytes(picture(64))
    asked = ["--seconds", "0.1", "--images", str(tmp_path)]
    body = json.loads(CliRunner().invoke(command, [*asked, "--json"]).output)
    text = CliRunner().invoke(command, ["--seconds", "0.1"]).output

    assert [32, 224] == [one["side"] for one in body["speeds"]]
    for one in body["speeds"]:
        assert one["seconds_for_10905"] == pytest.approx(10905 / one["images_per_second"], rel=0.01)
    assert "s for 10,905 images" in text


def test_a_folder_without_pictures(home: Path, tmp_path: Path) -> None:
    """One sentence."""
    done = CliRunner().invoke(command, ["--images", str(tmp_path)])

    assert 1 == done.exit_code
    assert "has no picture that can be decoded" in done.output
