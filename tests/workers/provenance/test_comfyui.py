"""ComfyUI graphs: how much of the saved image each of them generated."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from workers.provenance import read
from workers.provenance.comfyui import generated_extent
from workers.provenance.evidence import Extent

if TYPE_CHECKING:
    from collections.abc import Callable

Graph = dict[str, dict[str, Any]]


def node(name: str, **inputs: object) -> dict[str, Any]:
    """Return a node; an input that is a number as text is a link to that node."""
    linked = {key: [v, 0] if isinstance(v, str) and v.isdigit() else v for key, v in inputs.items()}
    return {"class_type": name, "inputs": linked}


def sampled(latent: dict[str, Any], **strength: float) -> Graph:
    """Return a graph that samples from a latent, at a strength, and saves the result."""
    return {
        "1": node("CheckpointLoaderSimple", ckpt_name="x.safetensors"),
        "2": node("LoadImage", image="photo.jpg"),
        "3": latent,
        "4": node("KSampler", model="1", latent_image="3", **strength),
        "5": node("VAEDecode", samples="4", vae="1"),
        "6": node("SaveImage", images="5"),
    }


EMPTY = node("EmptyLatentImage", width=512)
ENCODED = node("VAEEncode", pixels="2", vae="1")
ENLARGED = {
    "1": node("LoadImage", image="photo.jpg"),
    "2": node("UpscaleModelLoader", model_name="4x.pth"),
    "3": node("ImageUpscaleWithModel", upscale_model="2", image="1"),
    "4": node("SaveImage", images="3"),
}


@pytest.mark.parametrize(
    ("graph", "extent"),
    [
        (sampled(EMPTY, denoise=1.0), Extent.WHOLE),
        (sampled(ENCODED, denoise=0.4), Extent.PART),
        (sampled(ENCODED, denoise=1.0), Extent.WHOLE),
        (sampled(ENCODED, denoise=0.87), Extent.WHOLE),
        (sampled(ENCODED, start_at_step=12), Extent.PART),
        (sampled(node("VAEEncodeForInpaint", pixels="2", vae="1"), denoise=1.0), Extent.PART),
        (ENLARGED, None),
        # The sampler's image is not the one that is saved.
        (ENLARGED | {"7": node("KSampler", latent_image="8"), "8": EMPTY}, None),
        # A second pass at a low strength, over an image that was generated.
        (
            sampled(EMPTY, denoise=1.0)
            | {
                "7": node("KSampler", model="1", latent_image="4", denoise=0.3),
                "5": node("VAEDecode", samples="7", vae="1"),
            },
            Extent.WHOLE,
        ),
        # The photograph only steers the composition.
        (
            sampled(EMPTY, denoise=0.5)
            | {
                "7": node("ControlNetApply", image="2"),
                "4": node("KSampler", model="1", positive="7", latent_image="3", denoise=0.5),
            },
            Extent.WHOLE,
        ),
        (
            {
                "1": node("LoadImage", image="photo.jpg"),
                "2": node("OpenAIGPTImage1", prompt="a barn", image="1"),
                "3": node("SaveImage", images="2"),
            },
            Extent.PART,
        ),
        (
            {"1": node("IdeogramV3", prompt="a barn"), "2": node("SaveImage", images="1")},
            Extent.WHOLE,
        ),
        # A sampler of an unknown name, which needs a model.
        (
            {
                "1": node("UNETLoader", unet_name="x"),
                "2": node("SomebodysDenoiser", model="1"),
                "3": node("SaveImage", images="2"),
            },
            Extent.WHOLE,
        ),
        ({"3": node("KSampler", seed=5)}, Extent.WHOLE),
    ],
)
def test_extent(graph: Graph, extent: Extent | None) -> None:
    """The nodes that lead to the saved image decide how much of it was generated."""
    assert extent == generated_extent(json.dumps(graph))


@pytest.mark.parametrize(
    ("kind", "mode", "extent"),
    [("KSampler", 0, Extent.WHOLE), ("KSampler", 4, None), ("ImageScale", 0, None)],
)
def test_workflow_of_the_editor(kind: str, mode: int, extent: Extent | None) -> None:
    """An editor's workflow is followed along its links; nodes that are bypassed do not count."""
    workflow = {
        "nodes": [
            {"id": 1, "type": kind, "mode": mode, "inputs": []},
            {"id": 2, "type": "SaveImage", "inputs": [{"name": "images", "link": 5}]},
        ],
        "links": [[5, 1, 0, 2, 0, "IMAGE"]],
    }

    assert extent == generated_extent(json.dumps(workflow))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "{",
        "{}",
        '{"1": 5}',
        '{"nodes": [5, {"id": []}], "links": [5, [1]]}',
        '{"1": {"class_type": "SaveImage", "inputs": {"images": ["1"]}}}',
        '{"1": {"class_type": "SaveImage", "inputs": [1]}}',
        '{"nodes": [{"id": 1, "type": "X", "inputs": [{"name": "a", "link": [1]}]}]}',
        "{" * 100_000,
    ],
)
def test_junk_is_not_an_error(text: str) -> None:
    """Texts that are no graph, and graphs with loops, raise nothing."""
    assert generated_extent(text) in {None, Extent.WHOLE}


def test_verdicts(chunks: Callable[..., bytes]) -> None:
    """A graph that enlarges gives no finding, whatever the editor's workflow has beside it."""
    workflow = '{"last_node_id": 9, "nodes": [{"id": 3, "type": "KSampler"}], "links": []}'
    enlarged = read(
        chunks(
            (b"tEXt", b"prompt\0" + json.dumps(ENLARGED).encode()),
            (b"tEXt", b"workflow\0" + workflow.encode()),
            (b"tEXt", b"Software\0ComfyUI"),
        )
    )
    (edited,) = read(
        chunks((b"tEXt", b"prompt\0" + json.dumps(sampled(ENCODED, denoise=0.4)).encode()))
    )

    assert () == enlarged
    assert ("generator_edit", 0.75, "ComfyUI") == (
        edited.kind,
        edited.score,
        edited.detail["generator"],
    )


TEXT_TO_IMAGE = {number: step for number, step in sampled(EMPTY).items() if number != "2"}


@pytest.mark.parametrize(
    ("graph", "extent"),
    [
        (TEXT_TO_IMAGE, Extent.WHOLE),
        (sampled(ENCODED, denoise=1.0), Extent.PART),
        (ENLARGED, None),
    ],
)
def test_incomplete_graphs(graph: Graph, extent: Extent | None) -> None:
    """The names of nodes decide where a graph was cut off, or lost its quotation marks."""
    text = json.dumps(graph)

    assert extent == generated_extent(text[:-1])
    assert extent == generated_extent(text.replace('"', ""))


@pytest.mark.parametrize("embedded_bytes", [2 << 20, 3 << 20])
def test_images_in_graphs(chunks: Callable[..., bytes], embedded_bytes: int) -> None:
    """A graph with an image in it is found behind the first mebibyte, in each type of chunk."""
    image = {"0": node("LoadImageBase64", image="QUJD" * (embedded_bytes // 4))}
    enlarged = json.dumps({**image, **ENLARGED}).encode()
    text = json.dumps({**image, **sampled(EMPTY, denoise=1.0)}).encode()

    for chunk in [(b"tEXt", b"prompt\0" + text), (b"iTXt", b"prompt\0\0\0\0\0" + text)]:
        (found,) = read(chunks(chunk))
        assert ("generator_edit", "ComfyUI") == (found.kind, found.detail["generator"])
    assert () == read(chunks((b"tEXt", b"prompt\0" + enlarged)))


def test_large_exif_of_webp(draw: Callable[..., bytes]) -> None:
    """ComfyUI's WebP has its graphs in EXIF, which may be larger than a mebibyte."""
    image = {"0": node("Note", text="x" * (2 << 20))}
    tags = Image.Exif()
    tags[271] = f"workflow:{json.dumps({'last_node_id': 9, 'nodes': []})}"
    tags[272] = f"prompt:{json.dumps({**image, **TEXT_TO_IMAGE})}"

    (found,) = read(draw("WEBP", exif=tags))

    assert ("generator_tag", "exif:Model") == (found.kind, found.detail["where"])
