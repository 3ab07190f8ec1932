"""Marks of generators, made from their documentation, and texts that only look like them."""

from __future__ import annotations

import json
import zlib
from struct import pack
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from workers.provenance import read

if TYPE_CHECKING:
    from collections.abc import Callable

A1111 = (
    "a lighthouse at dusk, oil painting\nNegative prompt: people\n"
    "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1234, Size: 512x512, Model hash: 81761151"
)
COMFY_PROMPT = json.dumps({
    "3": {"class_type": "KSampler", "inputs": {"seed": 5, "steps": 20, "model": ["4", 0]}},
})  # fmt: skip
COMFY_WORKFLOW = json.dumps({
    "last_node_id": 9, "last_link_id": 9, "nodes": [{"id": 3, "type": "KSampler"}], "links": [],
})  # fmt: skip
CIVITAI = "Steps: 8, Sampler: Euler, Seed: 42, Size: 1024x1024, Civitai resources: []"
DRAW_THINGS = '{"c": "a barn", "uc": "", "sampler": "Euler A", "seed": 4, "steps": 20, "v2": {}}'
SIGNATURE = f"Signature: {'QUJD' * 40}="
UUID = "3b1e9c52-7f1d-4a7c-9d0e-5a1c2b3d4e5f"
MOCHI = (
    "Include in Image: a red; blue cube; Exclude from Image: blurry; Model: x; Steps: 8; "
    "Guidance Scale: 4.5; Seed: 42; Generator: Mochi Diffusion 6.0"
)
EASY = "a barn\nSeed: 7\nSteps: 25\nGuidance Scale: 7.5\nStable Diffusion model: sd-v1-5"
JOB = "Job ID: 7c8b3f04-9c0e-4a52-8f7a-0d1d1f2e3a4b"
IMAGE_DESCRIPTION, MAKE, MODEL, SOFTWARE, ARTIST = 270, 271, 272, 305, 315
XP_COMMENT = 0x9C9C
EXIF_DIRECTORY, USER_COMMENT = 0x8769, 0x9286


def generators(data: bytes) -> list[tuple[str, str]]:
    """Return (generator, where) of each finding; all have to be generator tags."""
    findings = read(data)
    assert all(("generator_tag", 0.98) == (each.kind, each.score) for each in findings)
    return [(each.detail["generator"], each.detail["where"]) for each in findings]


@pytest.mark.parametrize(
    ("keyword", "text", "generator"),
    [
        ("parameters", A1111, "Stable Diffusion web UI"),
        ("prompt", COMFY_PROMPT, "ComfyUI"),
        ("workflow", COMFY_WORKFLOW, "ComfyUI"),
        ("Software", "NovelAI", "NovelAI"),
        ("Description", f"a lighthouse at dusk --ar 3:2 --v 6.1 {JOB}", "Midjourney"),
        ("Software", "Adobe Firefly", "Adobe Firefly"),
        ("Software", "DALL·E 3", "DALL-E"),
        ("Software", "ChatGPT, by OpenAI", "ChatGPT"),
        ("fooocus_scheme", "fooocus", "Fooocus"),
        ("parameters", '{"adm_guidance": "(1.5, 0.8, 0.3)", "base_model": "x"}', "Fooocus"),
        ("parameters", '{"sui_image_params": {"prompt": "x", "steps": 20}}', "SwarmUI"),
        ("invokeai_metadata", '{"generation_mode": "txt2img"}', "InvokeAI"),
        ("sd-metadata", '{"model": "stable diffusion", "image": {}}', "InvokeAI"),
        ("Dream", '"a lighthouse" -s 50 -S 42 -W 512 -H 512 -C 7.5 -A k_lms', "InvokeAI"),
        (
            "parameters",
            '{"Prompt": "a barn", "steps": 30, "software": "RuinedFooocus"}',
            "RuinedFooocus",
        ),
        ("parameters", f"a barn\n{CIVITAI}", "Civitai"),
        ("use_stable_diffusion_model", "sd-v1-5", "Easy Diffusion"),
        ("parameters", EASY, "Easy Diffusion"),
        ("generation_data", '{"models": [], "prompt": "a barn"}', "Tensor.Art"),
        ("smproj", '{"projectType": "TextToImage"}', "Stability Matrix"),
        ("Title", "NovelAI generated image", "NovelAI"),
        ("Title", "AI generated image", "NovelAI"),
        # ImageMagick writes some keywords in small letters, and EXIF of other formats as texts.
        ("software", "NovelAI", "NovelAI"),
    ],
)
def test_png_texts(draw: Callable[..., bytes], keyword: str, text: str, generator: str) -> None:
    """A generator is named by its PNG text."""
    info = PngInfo()
    info.add_itxt(keyword, text)

    assert [(generator, f"png:{keyword}")] == generators(draw("PNG", pnginfo=info))


@pytest.mark.parametrize(
    "chunk",
    [
        (b"tEXt", b"parameters\0" + A1111.encode()),
        (b"zTXt", b"parameters\0\0" + zlib.compress(A1111.encode())),
        (b"iTXt", b"parameters\0\0\0\0\0" + A1111.encode()),
        (b"iTXt", b"parameters\0\1\0en\0Parameter\0" + zlib.compress(A1111.encode())),
    ],
)
def test_png_text_chunks_of_each_type(
    chunks: Callable[..., bytes], chunk: tuple[bytes, bytes]
) -> None:
    """All three types of PNG text chunks are read."""
    assert [("Stable Diffusion web UI", "png:parameters")] == generators(chunks(chunk))


def raw_profile(name: str, profile: bytes) -> tuple[bytes, bytes]:
    """Return a zTXt chunk with a profile as ImageMagick writes it."""
    digits = profile.hex()
    lines = [digits[start : start + 72] for start in range(0, len(digits), 72)]
    text = "\n".join(["", name, f"{len(profile):8}", *lines, ""])
    return b"zTXt", f"Raw profile type {name}\0\0".encode() + zlib.compress(text.encode())


@pytest.mark.parametrize("signature", [b"", b"Exif\0\0"])
def test_exif_in_png(chunks: Callable[..., bytes], signature: bytes) -> None:
    """EXIF of PNG is read from its chunk and from a raw profile, with a signature or without."""
    tags = Image.Exif()
    tags[SOFTWARE] = "Midjourney"
    exif = signature + tags.tobytes().removeprefix(b"Exif\0\0")

    for chunk in [(b"eXIf", exif), raw_profile("exif", exif), raw_profile("APP1", exif)]:
        assert [("Midjourney", "exif:Software")] == generators(chunks(chunk))


def test_other_raw_profiles(chunks: Callable[..., bytes], packet: Callable[..., bytes]) -> None:
    """XMP and the older IPTC format are read from raw profiles, too."""
    xmp = packet('photoshop:Credit="Made with Google AI"')
    iptc = b"\x1c\x02\x6e\0\x13Made with Google AI"

    assert [("Google AI", "xmp:Credit")] == generators(chunks(raw_profile("xmp", xmp)))
    assert [("Google AI", "iptc:Credit")] == generators(chunks(raw_profile("iptc", iptc)))


@pytest.mark.parametrize(
    "text", [b"", b"\nexif\n 4\nzz", b"\nexif\n 4\nabc", b"exif", b"\n\n\n\xff"]
)
def test_damaged_raw_profiles(chunks: Callable[..., bytes], text: bytes) -> None:
    """A raw profile without valid digits gives no finding."""
    assert [] == generators(chunks((b"tEXt", b"Raw profile type exif\0" + text)))


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "AVIF", "PNG"])
@pytest.mark.parametrize("order", ["utf-16-be", "utf-16-le"])
def test_user_comment(draw: Callable[..., bytes], form: str, order: str) -> None:
    """Settings in EXIF's UserComment are read in either byte order, with accents."""
    tags = Image.Exif()
    text = A1111.replace("dusk", "düsk")
    tags.get_ifd(EXIF_DIRECTORY)[USER_COMMENT] = b"UNICODE\0" + text.encode(order)
    data = draw(form, exif=tags.tobytes())

    assert [("Stable Diffusion web UI", "exif:UserComment")] == generators(data)
    assert text[:200] == read(data)[0].detail["excerpt"]


@pytest.mark.parametrize(
    ("tag", "value", "expected"),
    [
        (SOFTWARE, "Fooocus v2.5.5", ("Fooocus", "exif:Software")),
        (SOFTWARE, "Adobe Firefly 1.0", ("Adobe Firefly", "exif:Software")),
        (SOFTWARE, "InvokeAI", ("InvokeAI", "exif:Software")),
        (ARTIST, "Midjourney", ("Midjourney", "exif:Artist")),
        (MAKE, "OpenAI", ("OpenAI", "exif:Make")),
        (IMAGE_DESCRIPTION, f"a lighthouse {JOB}", ("Midjourney", "exif:ImageDescription")),
        # How ComfyUI saves WebP.
        (MODEL, f"prompt:{COMFY_PROMPT}", ("ComfyUI", "exif:Model")),
        (MAKE, f"workflow:{COMFY_WORKFLOW}", ("ComfyUI", "exif:Make")),
        (IMAGE_DESCRIPTION, f"Workflow:{COMFY_WORKFLOW}", ("ComfyUI", "exif:ImageDescription")),
        (SOFTWARE, "AI generated;txt2img;flux", ("FLUX", "exif:Software")),
        (MAKE, "Black Forest Labs", ("FLUX", "exif:Make")),
        (SOFTWARE, "Imaginairy / https://github.com/x/y", ("imaginAIry", "exif:Software")),
        (IMAGE_DESCRIPTION, MOCHI, ("Mochi Diffusion", "exif:ImageDescription")),
        (XP_COMMENT, f"prompt:{COMFY_PROMPT}".encode("utf-16-le"), ("ComfyUI", "exif:XPComment")),
    ],
)
def test_exif_texts(
    draw: Callable[..., bytes], tag: int, value: str | bytes, expected: tuple[str, str]
) -> None:
    """A generator is named by its EXIF text."""
    tags = Image.Exif()
    tags[tag] = value

    assert [expected] == generators(draw("WEBP", exif=tags))


@pytest.mark.parametrize(
    ("attributes", "elements", "expected"),
    [
        ('xmp:CreatorTool="Draw Things"', "", ("Draw Things", "xmp:CreatorTool")),
        ('xmp:CreatorTool="Adobe Firefly"', "", ("Adobe Firefly", "xmp:CreatorTool")),
        ('photoshop:Credit="Made with Google AI"', "", ("Google AI", "xmp:Credit")),
        ('photoshop:Credit="DALL·E"', "", ("DALL-E", "xmp:Credit")),
        ('photoshop:Credit="Made by Google AI"', "", ("Google AI", "xmp:Credit")),
        (
            'photoshop:Credit="Apple Image Playground"',
            "",
            ("Apple Image Playground", "xmp:Credit"),
        ),
        (
            'xmlns:exif="http://ns.adobe.com/exif/1.0/"',
            f"<exif:UserComment>{A1111}</exif:UserComment>",
            ("Stable Diffusion web UI", "xmp:UserComment"),
        ),
        (
            'xmlns:exif="http://ns.adobe.com/exif/1.0/"',
            f"<exif:UserComment>{DRAW_THINGS}</exif:UserComment>",
            ("Draw Things", "xmp:UserComment"),
        ),
        ('Iptc4xmpExt:AISystemUsed="ChatGPT"', "", ("ChatGPT", "xmp:AISystemUsed")),
        (
            "",
            f"<dc:description><rdf:Alt><rdf:li>a cat {JOB}</rdf:li></rdf:Alt></dc:description>",
            ("Midjourney", "xmp:description"),
        ),
    ],
)
def test_xmp_texts(
    draw: Callable[..., bytes],
    packet: Callable[..., bytes],
    attributes: str,
    elements: str,
    expected: tuple[str, str],
) -> None:
    """A generator is named by its XMP property."""
    assert [expected] == generators(draw("JPEG", xmp=packet(attributes, elements)))


def test_tag_and_source_type(draw: Callable[..., bytes], packet: Callable[..., bytes]) -> None:
    """A file with two kinds of evidence has a finding for each, the stronger first."""
    info = PngInfo()
    info.add_text("Description", f"a lighthouse --v 6.1 {JOB}")
    info.add_text("Author", "someone")
    term = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    xmp = packet(f'Iptc4xmpExt:DigitalSourceType="{term}"')
    info.add_itxt("XML:com.adobe.xmp", xmp.decode())
    kinds = [(each.kind, each.score) for each in read(draw("PNG", pnginfo=info))]

    assert [("generator_tag", 0.98), ("iptc_generated", 0.97)] == kinds


def test_iim_credit(draw: Callable[..., bytes]) -> None:
    """The credit line of the older IPTC format is read."""
    credit = b"Made with Google AI"
    iim = b"\x1c\x02\x6e" + pack(">H", len(credit)) + credit + b"\0" * (len(credit) % 2)
    resource = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + pack(">I", len(iim)) + iim
    plain = draw("JPEG")
    data = plain[:2] + b"\xff\xed" + pack(">H", len(resource) + 2) + resource + plain[2:]

    assert [("Google AI", "iptc:Credit")] == generators(data)


def test_one_finding_lists_all_fields(draw: Callable[..., bytes]) -> None:
    """Several tags of one generator are one finding that lists all fields."""
    info = PngInfo()
    info.add_text("prompt", COMFY_PROMPT)
    info.add_text("workflow", COMFY_WORKFLOW)
    (finding,) = read(draw("PNG", pnginfo=info))

    assert ("png:prompt", ["png:workflow"]) == (finding.detail["where"], finding.detail["also"])
    assert COMFY_PROMPT[:200] == finding.detail["excerpt"]


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        # Science: parameters of a simulation, of a sampler that samples distributions.
        ("parameters", '{"temperature": 300, "pressure": 1.0, "steps": 5000}'),
        ("parameters", "Steps: 1000, Sampler: emcee, Seed: 42, walkers: 32"),
        ("parameters", "alpha=0.5 beta=0.1"),
        ("prompt", "Describe what you see in this image."),
        ("prompt", '{"text": "What is shown?", "choices": ["a", "b"]}'),
        ("workflow", '{"nodes": [{"id": "fastqc"}], "edges": []}'),
        ("Software", "Adobe Photoshop 25.0 (Windows)"),
        ("Software", "matplotlib version 3.9.0, https://matplotlib.org/"),
        ("Software", "Imagenomic Portraiture"),
        ("Software", "NovelAIr Camera"),
        ("Description", "Our article on Midjourney, and how to tell its images."),
        ("Description", "Job ID: 4711"),
        ("Comment", "Created with GIMP"),
        ("Dream", "I had one."),
        ("Title", "Stable Diffusion: an introduction"),
        ("Source", "Canon EOS 40D"),
    ],
)
def test_near_misses_in_png(draw: Callable[..., bytes], keyword: str, text: str) -> None:
    """PNG texts that share a word with a generator's are not evidence."""
    info = PngInfo()
    info.add_text(keyword, text)

    assert [] == generators(draw("PNG", pnginfo=info))


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (SOFTWARE, "Adobe Photoshop Lightroom Classic 13.2 (Macintosh)"),
        (SOFTWARE, "Adobe Photoshop 21.1 (Macintosh)"),
        (SOFTWARE, "GIMP 2.10"),
        (MAKE, "Apple"),
        (MODEL, "Gemini 4K"),
        (ARTIST, "Bing Crosby"),
        (ARTIST, "Photo: courtesy of OpenAI"),
        (IMAGE_DESCRIPTION, "OLYMPUS DIGITAL CAMERA"),
    ],
)
def test_near_misses_in_exif(draw: Callable[..., bytes], tag: int, value: str) -> None:
    """Names of cameras, editors and people are not generators."""
    tags = Image.Exif()
    tags[tag] = value

    assert [] == generators(draw("JPEG", exif=tags))


@pytest.mark.parametrize(
    ("signature", "artist", "expected"),
    [
        (SIGNATURE, UUID, [("Grok", "exif:ImageDescription")]),
        (SIGNATURE, "A. Photographer", []),
        (SIGNATURE, None, []),
        ("Signature: A. Photographer", UUID, []),
    ],
)
def test_grok(
    draw: Callable[..., bytes],
    signature: str,
    artist: str | None,
    expected: list[tuple[str, str]],
) -> None:
    """Grok is recognised by its signature together with an identifier as artist."""
    tags = Image.Exif()
    tags[IMAGE_DESCRIPTION] = signature
    if artist is not None:
        tags[ARTIST] = artist

    assert expected == generators(draw("JPEG", exif=tags))


def test_user_comments_of_cameras(draw: Callable[..., bytes]) -> None:
    """Blank comments, and comments of ordinary words, are not settings."""
    found = []
    for comment in (b"ASCII\0\0\0" + b" " * 100, bytes(264), b"UNICODE\0\xff", b"Steps", b""):
        tags = Image.Exif()
        tags.get_ifd(EXIF_DIRECTORY)[USER_COMMENT] = comment
        found += generators(draw("JPEG", exif=tags))

    assert [] == found


def test_edits_of_photos_are_not_firefly(
    draw: Callable[..., bytes], packet: Callable[..., bytes]
) -> None:
    """A photo whose editing history mentions Firefly gives no finding."""
    history = (
        '<xmpMM:History><rdf:Seq><rdf:li softwareAgent="Adobe Firefly"/></rdf:Seq></xmpMM:History>'
    )
    image = draw("JPEG", xmp=packet('xmp:CreatorTool="Adobe Photoshop 25.0"', history))

    assert [] == generators(image)


@pytest.mark.parametrize(
    ("text", "generator"),
    [
        ("Made with OpenAI Labs", "OpenAI"),
        ('{"mflux_version": "0.9.0", "model": "schnell", "seed": 2}', "mflux"),
        ('{"prompt": "a barn", "use_stable_diffusion_model": "x"}', "Easy Diffusion"),
        # A graph that lost its quotation marks in a shell.
        (
            "{4: {inputs: {ckpt_name: x.safetensors}, class_type: CheckpointLoaderSimple}}",
            "ComfyUI",
        ),
    ],
)
def test_comments(draw: Callable[..., bytes], text: str, generator: str) -> None:
    """A generator is named by its settings in a comment of EXIF."""
    tags = Image.Exif()
    tags.get_ifd(EXIF_DIRECTORY)[USER_COMMENT] = b"ASCII\0\0\0" + text.encode()

    assert [(generator, "exif:UserComment")] == generators(draw("JPEG", exif=tags.tobytes()))


def test_exif_as_texts(chunks: Callable[..., bytes]) -> None:
    """ImageMagick writes EXIF of other formats as texts of PNG."""
    chunk = (b"tEXt", b"exif:Software\0AI generated;txt2img;flux")

    assert [("FLUX", "exif:Software")] == generators(chunks(chunk))


def test_two_texts_of_a_generator(chunks: Callable[..., bytes]) -> None:
    """Texts with common names count together: a scale of guidance beside a sampler."""
    scale, sampler = (b"tEXt", b"scale\x007.5"), (b"tEXt", b"sampler\0ddim")

    assert [("Stable Diffusion", "png:scale")] == generators(chunks(scale, sampler))
    assert [] == generators(chunks(scale))
    assert [] == generators(chunks(scale, (b"tEXt", b"sampler\0Roland S-50")))


def test_iptc_texts(chunks: Callable[..., bytes]) -> None:
    """The program that made an image, and its caption, are read from the older IPTC format."""
    program = b"\x1c\x02\x41\0\x0fMochi Diffusion"
    caption = b"\x1c\x02\x78" + pack(">H", len(MOCHI)) + MOCHI.encode()

    for iptc, where in [(program, "OriginatingProgram"), (caption, "Caption")]:
        found = generators(chunks(raw_profile("iptc", iptc)))
        assert [("Mochi Diffusion", f"iptc:{where}")] == found


def samsung(*values: tuple[bytes, bytes]) -> bytes:
    """Return a trailer with named values, as Samsung's phones append it."""
    body, entries = b"", []
    for name, value in values:
        entry = pack("<HHI", 0, 0xBA1, len(name)) + name + value
        entries.append((len(body), len(entry)))
        body += entry
    directory = b"SEFH" + pack("<II", 107, len(entries))
    for offset, size in entries:
        directory += pack("<HHII", 0, 0xBA1, len(body) - offset, size)
    return body + directory + pack("<I", len(directory)) + b"SEFT"


def edits(data: bytes) -> list[str]:
    """Return the places of findings; all have to be of a part, or from another image."""
    findings = read(data)
    assert all(("generator_edit", 0.75) == (each.kind, each.score) for each in findings)
    return [each.detail["where"] for each in findings]


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_samsung(draw: Callable[..., bytes], form: str) -> None:
    """A photo that Galaxy AI changed is told by the phone's trailer; ordinary edits are not."""
    utc = (b"Image_UTC_Data", b"1700000000000")
    generated = b'{"genImageVersion":"v1","connectorType":"srvg","genAIType":5}'
    edited = (b"PEg_Info", b'{"genImageVersion":"v1","genAIType":0}')
    data = draw(form)

    assert ["sef:PEg_Info"] == edits(data + samsung(utc, (b"PEg_Info", generated)))
    assert [] == edits(data + samsung(utc, edited, (b"Other", generated)))


def test_damaged_samsung_trailers(draw: Callable[..., bytes]) -> None:
    """A trailer that is cut, or points anywhere, gives no finding."""
    whole = samsung((b"PEg_Info", b'{"genAIType":5}'))
    data = draw("JPEG")
    for start in range(1, len(whole)):
        cut = whole[start:]
        changed = whole[: start - 1] + b"\xff" + whole[start:]
        assert edits(data + cut) in ([], ["sef:PEg_Info"])
        assert edits(data + changed) in ([], ["sef:PEg_Info"])
    assert [] == edits(data + b"SEFT")


@pytest.mark.parametrize(
    ("text", "is_edit"),
    [("Acme Diffusion 2", True), ("none", False), ("N/A", False), ("", False)],
)
def test_any_ai_that_iptc_names(
    draw: Callable[..., bytes],
    packet: Callable[..., bytes],
    text: str,
    is_edit: bool,  # noqa: FBT001
) -> None:
    """IPTC's names for the AI that was used count for a part, whatever the name."""
    for name in ("AISystemUsed", "AIPromptInformation"):
        found = edits(draw("JPEG", xmp=packet(f'Iptc4xmpExt:{name}="{text}"')))
        assert ([f"xmp:{name}"] if is_edit else []) == found


def test_image_to_image(draw: Callable[..., bytes]) -> None:
    """Marks that name an input image are of an edit."""
    tags = Image.Exif()
    tags[SOFTWARE] = "AI generated;img2img;flux"
    mochi = Image.Exif()
    mochi[IMAGE_DESCRIPTION] = MOCHI.replace("Seed", "Input Images: one.png; Seed")

    assert ["exif:Software"] == edits(draw("JPEG", exif=tags.tobytes()))
    assert ["exif:ImageDescription"] == edits(draw("JPEG", exif=mochi.tobytes()))
