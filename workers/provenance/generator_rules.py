"""The marks of image generators: one table, a row or more for each generator."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workers.provenance.evidence import Extent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.provenance.metadata_field import Field

# Limit on the time that patterns take: of a longer text the beginning and the end are searched,
# which is where settings are.
MAX_MATCHED_CHARACTERS = 1 << 14

# Fields in which programs name themselves, people are credited, and settings are kept.
_SOFTWARE = (
    "png:Software",
    "exif:Software",
    "exif:Make",
    "exif:Model",
    "xmp:CreatorTool",
    "xmp:Software",
    "xmp:AISystemUsed",
)
_CREDIT = ("xmp:Credit", "iptc:Credit", "exif:Artist", "png:Author", "png:Source")
_SETTINGS = (
    "png:parameters",
    "png:Comment",
    "exif:UserComment",
    "exif:ImageDescription",
    "exif:XPComment",
    "xmp:UserComment",
    "jpeg:comment",
    "gif:comment",
    "sidecar:text",
)
COMFYUI, WORKFLOW_STRING = "ComfyUI", '"nodes"'
# As it is written, and after a shell has removed the quotation marks.
GRAPH_STRINGS = ('"class_type"', "class_type: ")
_MOCHI = (
    "iptc:Caption",
    "iptc:OriginatingProgram",
    "xmp:description",
    "exif:ImageDescription",
    "png:Description",
)
_GRAPH = (
    "exif:Make",
    "exif:Model",
    "exif:UserComment",
    "exif:ImageDescription",
    "exif:XPComment",
    "xmp:UserComment",
    "xmp:description",
    "jpeg:comment",
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A generator, the fields that it writes, and a string and a pattern that they contain.

    The string is searched first, as that costs next to nothing. `also` is another field of the file
    and its pattern, where the first one alone proves too little. `extent` says how much of the
    image the mark stands for.
    """

    generator: str
    fields: tuple[str, ...]
    string: str = ""
    pattern: re.Pattern[str] = re.compile("")
    also: tuple[str, re.Pattern[str]] | None = None
    extent: Extent = Extent.WHOLE

    def matches(self, field: Field, fields: Sequence[Field]) -> bool:
        """Check whether the rule holds for one of a file's fields."""
        if self.string not in field.text or not self.pattern.search(_clip(field.text)):
            return False
        if self.also is None:
            return True
        where, pattern = self.also
        return any(other.where == where and pattern.search(other.text) for other in fields)


def _clip(text: str) -> str:
    if len(text) <= MAX_MATCHED_CHARACTERS:
        return text
    half = MAX_MATCHED_CHARACTERS // 2
    return f"{text[:half]}\n{text[-half:]}"


def _named(generator: str, name: str = "", *, credited: bool = True) -> Rule:
    """Return a rule for a generator that writes its name, as a separate word."""
    name = name or generator
    fields = _SOFTWARE + (_CREDIT if credited else ())
    return Rule(generator, fields, name, re.compile(rf"(?<!\w){re.escape(name)}(?!\w)"))


# From the specific to the general: the first rule that matches names the generator. The reference
# page (docs/reference/provenance.md) lists the rules that were tried on real files.
RULES = (
    _named("NovelAI"),
    _named("Midjourney"),
    _named("Adobe Firefly"),
    _named("Google AI", "Made with Google AI"),
    _named("Google AI", "Made by Google AI"),
    _named("Apple Image Playground"),
    _named("DALL-E"),
    _named("DALL-E", "DALL·E"),
    _named("ChatGPT"),
    # Press photos are credited to the company, too.
    _named("OpenAI", credited=False),
    _named("Draw Things", credited=False),
    _named("InvokeAI"),
    _named("ComfyUI"),
    _named("imaginAIry", "Imaginairy"),
    _named("Stable Diffusion"),
    _named("DreamStudio"),
    _named("Leonardo.Ai"),
    _named("Ideogram", "Ideogram AI"),
    _named("Bing Image Creator"),
    _named("Meta AI", "Imagined with AI"),
    # The reference code of FLUX, whose licence asks for the mark.
    Rule(
        "FLUX",
        ("exif:Software",),
        "AI generated;img2img",
        re.compile(r"\AAI generated;img2img"),
        extent=Extent.PART,
    ),
    Rule("FLUX", ("exif:Software",), "AI generated;", re.compile(r"\AAI generated;")),
    _named("FLUX", "Black Forest Labs", credited=False),
    Rule("OpenAI", _SETTINGS, "Made with OpenAI Labs", re.compile(r"\AMade with OpenAI Labs\Z")),
    Rule(
        "Mochi Diffusion",
        _MOCHI,
        "Input Images: ",
        re.compile(r"\A(?:Metadata Version: \d+\n)?Include in Image: [\s\S]*\bMochi Diffusion"),
        extent=Extent.PART,
    ),
    Rule(
        "Mochi Diffusion",
        _MOCHI,
        "Mochi Diffusion",
        re.compile(r"\A(?:Metadata Version: \d+\n)?Include in Image: |\AMochi Diffusion\Z"),
    ),
    # Before Fooocus, of which it is a fork.
    Rule(
        "RuinedFooocus",
        _SETTINGS,
        '"RuinedFooocus"',
        re.compile(r'\A\s*\{[\s\S]*"software"\s*:\s*"RuinedFooocus"'),
    ),
    Rule("Fooocus", ("exif:Software", "png:Software"), "Fooocus"),
    Rule("Fooocus", ("png:fooocus_scheme",), "", re.compile(r"\A(?:fooocus|a1111)\s*\Z")),
    Rule("Fooocus", _SETTINGS, '"adm_guidance"', re.compile(r"\A\s*\{")),
    Rule("SwarmUI", _SETTINGS, '"sui_image_params"', re.compile(r"\A\s*\{")),
    Rule("Easy Diffusion", ("png:use_stable_diffusion_model",)),
    Rule("Easy Diffusion", _SETTINGS, '"use_stable_diffusion_model"', re.compile(r"\A\s*\{")),
    Rule(
        "Easy Diffusion",
        _SETTINGS,
        "Stable Diffusion model: ",
        re.compile(r"\A(?=[\s\S]*^Seed: \d)(?=[\s\S]*^Guidance Scale: \d)", re.MULTILINE),
    ),
    Rule("mflux", _SETTINGS, '"mflux_version"', re.compile(r"\A\s*\{")),
    Rule("Tensor.Art", ("png:generation_data",), '"prompt"', re.compile(r"\A\s*\{")),
    Rule("Stability Matrix", ("png:smproj", "png:parameters-json"), "{", re.compile(r"\A\s*\{")),
    Rule(
        "NovelAI",
        ("png:Title",),
        "AI generated image",
        re.compile(r"\A(?:Novel)?AI generated image\Z"),
    ),
    # The scripts that come with trainers of Stable Diffusion.
    Rule(
        "Stable Diffusion",
        ("png:scale",),
        "",
        re.compile(r"\A\d{1,3}(?:\.\d+)?\Z"),
        also=("png:sampler", re.compile(r"\A\w+\Z")),
    ),
    Rule("InvokeAI", ("png:invokeai_metadata", "png:invokeai_graph"), "{"),
    Rule("InvokeAI", ("png:sd-metadata",), '"model"', re.compile(r"\A\s*\{")),
    Rule("InvokeAI", ("png:Dream",), " -S", re.compile(r" -s ?\d+ [^\n]{0,400}?-S ?\d+")),
    Rule(
        "Midjourney",
        ("png:Description", "png:Comment", "xmp:description", "exif:ImageDescription"),
        "Job ID: ",
        re.compile(r"Job ID: [0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"),
    ),
    # A graph as the server runs it: {"3": {"class_type": …, "inputs": …}, …}.
    Rule(
        COMFYUI,
        ("png:prompt", *_GRAPH),
        GRAPH_STRINGS[0],
        re.compile(r'\A(?:[Pp]rompt:)?\s*\{\s*"[^"]{1,64}"\s*:\s*\{'),
    ),
    # The same, after a shell has removed the quotation marks.
    Rule(
        COMFYUI,
        _GRAPH,
        GRAPH_STRINGS[1],
        re.compile(r"\A(?:[Pp]rompt:)?\s*\{\s*[\w:]{1,64}\s*:\s*\{\s*\w+\s*:"),
    ),
    # The same as its editor saves it; other programs have a "workflow", too.
    Rule(
        COMFYUI,
        ("png:workflow", *_GRAPH),
        WORKFLOW_STRING,
        re.compile(r'\A(?:[Ww]orkflow:)?\s*\{[\s\S]*"last_?(?:node_id|NodeId)"'),
    ),
    Rule(
        "Stable Diffusion web UI",
        _SETTINGS,
        "CFG scale: ",  # no other program has it next to steps and seed
        re.compile(r"\bSteps: \d{1,5}, [^\n]{0,400}?\bSeed: \d"),
    ),
    # The same form, without the scale where a model has none.
    Rule(
        "Civitai",
        _SETTINGS,
        "Civitai resources: [",
        re.compile(r"\bSteps: \d{1,5}, [^\n]{0,400}?\bSeed: \d"),
    ),
    Rule(
        "Draw Things",
        ("exif:UserComment", "xmp:UserComment"),
        '"uc"',
        re.compile(r'\A\s*\{(?=[\s\S]*"c"\s*:)(?=[\s\S]*"sampler"\s*:)(?=[\s\S]*"steps"\s*:\s*\d)'),
    ),
    Rule(
        "Grok",
        ("exif:ImageDescription", "exif:UserComment"),
        "Signature: ",
        re.compile(r"\ASignature: [A-Za-z0-9+/]{100,}={0,2}\s*\Z"),
        # The artist is the identifier of the image.
        also=("exif:Artist", re.compile(r"\A[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\s*\Z")),
    ),
    # Last, as photos are what these change.
    Rule(
        "Samsung Galaxy AI",
        ("sef:PEg_Info",),
        "genAIType",
        re.compile(r'\bgenAIType"\s*:\s*[1-9]'),
        extent=Extent.PART,
    ),
    # What was used for the image or a part of it (IPTC Photo Metadata 2025.1).
    Rule(
        "Generative AI",
        ("xmp:AISystemUsed", "xmp:AIPromptInformation"),
        "",
        re.compile(r"\A\s*(?!(?:none|no|n/a|-)\s*\Z)\S", re.IGNORECASE),
        extent=Extent.PART,
    ),
)
