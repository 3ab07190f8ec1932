"""Draw sample images to try the scanner on: `python -m scanner.listing.sample_images FOLDER`.

Some carry the metadata that generators write, so that a first report has verdicts of each kind.
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Color = tuple[int, int, int]
    Field = NDArray[np.float64]

WIDTH, HEIGHT = 480, 320

# Metadata as written by generators: a web UI's settings, ComfyUI's graph, IPTC's source type.
_SETTINGS = (
    "a quiet valley at dusk, oil painting\nNegative prompt: people\n"
    "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1234, Size: 480x320, Model: sample"
)
_GRAPH = '{"last_node_id": 3, "last_link_id": 0, "nodes": [{"id": 3, "type": "KSampler"}]}'
_SOURCE_TYPE = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/%s"/>
</rdf:RDF></x:xmpmeta>"""


@dataclass(frozen=True, slots=True)
class Light:
    """The colours of a landscape, and the position of its sun or moon (fractions of the image)."""

    zenith: Color
    horizon: Color
    hills: Color
    sun: Color
    position: tuple[float, float]


DAWN = Light((96, 122, 178), (255, 205, 170), (58, 66, 98), (255, 240, 214), (0.30, 0.46))
NOON = Light((74, 142, 214), (206, 230, 245), (44, 98, 74), (255, 253, 240), (0.74, 0.18))
DUSK = Light((52, 42, 92), (250, 140, 92), (34, 22, 52), (255, 214, 140), (0.62, 0.54))
NIGHT = Light((10, 16, 42), (52, 74, 118), (6, 10, 26), (238, 240, 255), (0.24, 0.24))
DESERT = Light((128, 178, 208), (252, 226, 184), (168, 92, 52), (255, 250, 226), (0.80, 0.26))


def landscape(light: Light, seed: int) -> Image.Image:
    """Draw hills under a sky, WIDTH x HEIGHT, the same for the same seed."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
    pixels = _blend(light.zenith, light.horizon, np.clip(y / 0.7, 0, 1) ** 1.3)
    distance = np.hypot(x - light.position[0], (y - light.position[1]) * HEIGHT / WIDTH)
    glow = np.exp(-distance * 7) * 0.7 + np.clip((0.042 - distance) * 400, 0, 1)
    pixels += (np.array(light.sun) - pixels) * np.clip(glow, 0, 1)[..., None]
    for layer in range(1, 6):
        near = layer / 5
        ridge = 0.56 + 0.36 * near**1.4 - _ridge(rng, x[0], roughness=2 + layer) * 0.12
        # Far hills fade into the haze at the horizon, valleys a little.
        clear = 0.25 + 0.75 * near - np.clip((y - ridge) * 1.6, 0, 0.35)
        shade = _blend(light.horizon, light.hills, np.clip(clear, 0, 1))
        pixels += (shade - pixels) * np.clip((y - ridge) * HEIGHT, 0, 1)[..., None]
    grain = rng.normal(0, 3.0, (HEIGHT, WIDTH, 1))
    return Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))


def _blend(first: Color, second: Color, share: Field) -> Field:
    return np.array(first) * (1 - share[..., None]) + np.array(second) * share[..., None]


def _ridge(rng: np.random.Generator, x: Field, roughness: int) -> Field:
    """Return the height of a line of hills along x, about 0 to 1, as a sum of waves."""
    line = np.full_like(x, 0.5)
    for octave in range(roughness):
        phase, stretch = rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 1.25)
        line += np.sin(x * stretch * 5 * 2**octave + phase) * 0.42 / 2.1**octave
    return line


def shapes(seed: int) -> Image.Image:
    """Draw overlapping discs and bars in five colours, WIDTH x HEIGHT."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (WIDTH * 2, HEIGHT * 2), "#f5efe0")
    canvas = ImageDraw.Draw(image, "RGBA")
    for index in range(15):
        x, y, size = rng.uniform((0, 0, 40), (WIDTH * 2, HEIGHT * 2, 170))
        color = ("#264653d8", "#2a9d8fd8", "#e9c46ad8", "#f4a261d8", "#e76f51d8")[index % 5]
        if index % 3:
            canvas.ellipse((x - size, y - size, x + size, y + size), color)
        else:
            canvas.rectangle((x - size * 1.6, y - 14, x + size * 1.6, y + 14), color)
    return image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


def _samples() -> Iterator[tuple[str, bytes]]:
    """Yield the relative path and the content of each sample."""
    camera, comment = Image.Exif(), Image.Exif()
    camera[271], camera[272], camera[305] = "Sample Works", "Pinhole 1", "Firmware 1.02"
    comment.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + _SETTINGS.encode("utf-16-be")  # UserComment
    settings, graph = PngInfo(), PngInfo()
    settings.add_text("parameters", _SETTINGS)
    graph.add_text("workflow", _GRAPH)
    yield "plain/valley-dawn.jpg", _encoded(landscape(DAWN, 1), "JPEG", exif=camera)
    yield "plain/dunes.jpg", _encoded(landscape(DESERT, 3), "JPEG", exif=camera)
    yield "plain/poster.png", _encoded(shapes(4), "PNG")
    yield "tagged/webui.png", _encoded(landscape(DUSK, 5), "PNG", pnginfo=settings)
    yield "tagged/comfyui.png", _encoded(landscape(NIGHT, 6), "PNG", pnginfo=graph)
    yield "tagged/webui.webp", _encoded(landscape(DAWN, 7), "WEBP", exif=comment)
    generated = _SOURCE_TYPE % b"trainedAlgorithmicMedia"
    edited = _SOURCE_TYPE % b"compositeWithTrainedAlgorithmicMedia"
    yield "tagged/source-type-made.jpg", _encoded(landscape(DUSK, 8), "JPEG", xmp=generated)
    yield "tagged/source-type-edited.jpg", _encoded(landscape(NOON, 9), "JPEG", xmp=edited)
    for seed, light in enumerate((DAWN, NOON, DUSK, DESERT), start=10):
        # Not the size of any model, so their verdict is at most `unsure`, with the reason.
        tiny = landscape(light, seed).crop((80, 0, 400, 320)).resize((40, 40))
        yield f"tiny/{seed}.jpg", _encoded(tiny, "JPEG")
    complete = _encoded(landscape(NIGHT, 14), "JPEG")
    yield "broken/cut-off.jpg", complete[: len(complete) // 2]
    yield "broken/no-picture.jpg", b"This is a text file that somebody called a picture.\n"


def _encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, image_format, quality=88, **options)
    return target.getvalue()


def draw(folder: Path) -> int:
    """Write the samples under a folder, which is created if needed; return their number."""
    samples = dict(_samples())
    for name, content in samples.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return len(samples)


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004
        sys.exit("usage: python -m scanner.listing.sample_images FOLDER")
    print(f"{draw(Path(sys.argv[1]))} samples in {sys.argv[1]}")  # noqa: T201
