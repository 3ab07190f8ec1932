"""Settings in the lowest bits of pixels: made here as NovelAI, Forge and SwarmUI write them."""

from __future__ import annotations

import gzip
import json

import pytest
from marked_images import A1111, hide
from PIL import Image

from workers.marks import stealth

NOVELAI = json.dumps({"Software": "NovelAI", "Comment": '{"steps": 28}', "Seed": 5})
SWARMUI = '{"sui_image_params": {"prompt": "x", "steps": 20}}'
COMFY_EDIT = json.dumps({
    "prompt": {
        "1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}},
        "2": {"class_type": "VAEEncode", "inputs": {"pixels": ["1", 0]}},
        "3": {"class_type": "KSampler", "inputs": {"latent_image": ["2", 0], "denoise": 0.4}},
        "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0]}},
    }
})  # fmt: skip
ALPHA, COLOURS = "the lowest bits of alpha", "the lowest bits of the colours"


@pytest.mark.parametrize(
    ("name", "text", "where", "generator"),
    [
        (b"stealth_pnginfo", A1111, ALPHA, "Stable Diffusion web UI"),
        (b"stealth_pngcomp", A1111, ALPHA, "Stable Diffusion web UI"),
        (b"stealth_rgbinfo", A1111, COLOURS, "Stable Diffusion web UI"),
        (b"stealth_rgbcomp", A1111, COLOURS, "Stable Diffusion web UI"),
        (b"stealth_pngcomp", NOVELAI, ALPHA, "NovelAI"),
        (b"stealth_pnginfo", SWARMUI, ALPHA, "SwarmUI"),
    ],
)
def test_settings(name: bytes, text: str, where: str, generator: str) -> None:
    """All four forms are read, and name the generator whose settings they are."""
    body = gzip.compress(text.encode()) if name.endswith(b"comp") else text.encode()

    found = stealth.settings(hide(name, body))

    assert found is not None
    assert (where, "generator_tag", generator) == (
        found[0],
        found[1].kind,
        found[1].detail["generator"],
    )


def test_settings_of_an_edit() -> None:
    """A hidden graph that started from an image is read as a visible one would be."""
    found = stealth.settings(hide(b"stealth_pnginfo", COMFY_EDIT.encode()))

    assert found is not None
    assert "generator_edit" == found[1].kind


def test_a_narrow_image() -> None:
    """The name may go over several columns."""
    image = hide(b"stealth_pnginfo", A1111.encode(), (400, 7))

    assert stealth.settings(image) is not None


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(hide(b"stealth_pnginfo", b"a holiday in Skagen"), id="another-text"),
        pytest.param(hide(b"stealth_pnginf0", A1111.encode()), id="another-name"),
        pytest.param(hide(b"stealth_pngcomp", A1111.encode()), id="not-compressed"),
        pytest.param(hide(b"stealth_pnginfo", b"", length=0), id="empty"),
        pytest.param(hide(b"stealth_pnginfo", b"{" * 900), id="not-an-object"),
        pytest.param(hide(b"stealth_pnginfo", b'{"a":' * 180), id="unfinished-objects"),
        pytest.param(hide(b"stealth_pnginfo", b"[" * 900), id="nested"),
        pytest.param(hide(b"stealth_pnginfo", b"\xff\xfe\x00\xd8" * 50), id="not-text"),
        pytest.param(Image.new("RGBA", (1, 1)), id="1x1"),
        pytest.param(Image.new("RGB", (1, 4000)), id="1x4000"),
        pytest.param(Image.new("LA", (64, 64)), id="LA"),
        pytest.param(Image.new("L", (64, 64)), id="L"),
        pytest.param(Image.new("P", (64, 64)), id="P"),
        pytest.param(Image.new("I;16", (64, 64)), id="16-bit"),
    ],
)
def test_nothing_hidden(image: Image.Image) -> None:
    """Other texts, damaged ones and other images give nothing, and raise nothing."""
    assert stealth.settings(image) is None


def test_a_length_beyond_the_image() -> None:
    """What there is, is read: the settings come first."""
    image = hide(b"stealth_pnginfo", A1111.encode(), length=8 * stealth.MAX_BYTES)

    assert stealth.settings(image) is not None


def test_a_length_beyond_the_limit() -> None:
    """Nothing is read."""
    image = hide(b"stealth_pnginfo", A1111.encode(), length=8 * stealth.MAX_BYTES + 8)

    assert stealth.settings(image) is None


def test_a_decompression_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more is decompressed than the limit, however much a body holds."""
    monkeypatch.setattr(stealth, "MAX_BYTES", 4096)
    bomb = gzip.compress(b"CFG scale: 7 " + b"\0" * 2_000_000)
    read: list[int] = []
    monkeypatch.setattr(stealth, "_fields", lambda text: read.append(len(text)) or [])

    assert stealth.settings(hide(b"stealth_pngcomp", bomb, (400, 300))) is None
    assert [4096] == read
