"""Marks that image generators leave in metadata: one table, a row for each generator."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workers.provenance.comfyui import generated_extent
from workers.provenance.evidence import Extent, Kind, finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.records import Finding
    from workers.provenance.metadata_field import Field

EXCERPT_CHARACTERS = 200
# Limits on the time that patterns take: of a longer text the beginning and the end are searched,
# which is where settings are, and of many fields of one name the first few.
MAX_MATCHED_CHARACTERS = 1 << 14
MAX_FIELDS_OF_A_NAME = 4

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
    "exif:UserComment",
    "exif:ImageDescription",
    "exif:XPComment",
    "xmp:UserComment",
    "jpeg:comment",
    "gif:comment",
    "sidecar:text",
)
_COMFYUI, _GRAPH_STRING, _WORKFLOW_STRING = "ComfyUI", '"class_type"', '"nodes"'
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
    and its pattern, where the first one alone proves too little.
    """

    generator: str
    fields: tuple[str, ...]
    string: str = ""
    pattern: re.Pattern[str] = re.compile("")
    also: tuple[str, re.Pattern[str]] | None = None

    def matches(self, field: Field, fields: Sequence[Field]) -> bool:
        """Check whether the rule holds for one of a file's fields."""
        if self.string not in field.text or not self.pattern.search(_clip(field.text)):
            return False
        if self.also is None:
            return True
        where, pattern = self.also
        return any(other.where == where and pattern.search(other.text) for other in fields)


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
    _named("Stable Diffusion"),
    _named("DreamStudio"),
    _named("Leonardo.Ai"),
    _named("Ideogram", "Ideogram AI"),
    _named("Bing Image Creator"),
    _named("Meta AI", "Imagined with AI"),
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
        _COMFYUI,
        ("png:prompt", *_GRAPH),
        _GRAPH_STRING,
        re.compile(r'\A(?:[Pp]rompt:)?\s*\{\s*"[^"]{1,64}"\s*:\s*\{'),
    ),
    # The same as its editor saves it; other programs have a "workflow", too.
    Rule(
        _COMFYUI,
        ("png:workflow", *_GRAPH),
        _WORKFLOW_STRING,
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
)


def findings(fields: Sequence[Field]) -> list[Finding]:
    """Return at most one finding: the generator of the first rule that matches, and the fields."""
    matches: list[tuple[int, Field]] = []
    counts = Counter[str]()
    for field in fields:
        counts[field.where] += 1
        if counts[field.where] > MAX_FIELDS_OF_A_NAME:
            continue
        for rank, rule in _BY_FIELD.get(field.where, ()):
            if rule.matches(field, fields):
                matches.append((rank, field))
                break
    extent = _comfyui_extent(matches)
    if extent is None:
        matches = [match for match in matches if RULES[match[0]].generator != _COMFYUI]
    if not matches:
        return []
    rank, field = min(matches, key=lambda match: match[0])
    generator = RULES[rank].generator
    detail = {
        "generator": generator,
        "where": field.where,
        "excerpt": field.text[:EXCERPT_CHARACTERS],
        "also": [other.where for _, other in matches if other is not field],
    }
    if generator == _COMFYUI and extent is Extent.PART:
        text = f"{generator} generated it from another image, by its graph in {field.where}."
        return [finding(Kind.GENERATOR_EDIT, text, detail)]
    text = f"{generator} left its mark in {field.where}."
    return [finding(Kind.GENERATOR_TAG, text, detail)]


def _comfyui_extent(matches: Sequence[tuple[int, Field]]) -> Extent | None:
    """Return how much ComfyUI generated by its graphs: those that were run, else those drawn.

    A graph that only loads, enlarges and saves an image generates nothing.
    """
    for string in (_GRAPH_STRING, _WORKFLOW_STRING):
        texts = [field.text for rank, field in matches if RULES[rank].string == string]
        if texts:
            extents = {generated_extent(text) for text in texts}
            return next((e for e in (Extent.WHOLE, Extent.PART) if e in extents), None)
    return Extent.WHOLE


def _clip(text: str) -> str:
    if len(text) <= MAX_MATCHED_CHARACTERS:
        return text
    half = MAX_MATCHED_CHARACTERS // 2
    return f"{text[:half]}\n{text[-half:]}"


def _by_field() -> dict[str, tuple[tuple[int, Rule], ...]]:
    table: dict[str, tuple[tuple[int, Rule], ...]] = {}
    for rank, rule in enumerate(RULES):
        for where in rule.fields:
            table[where] = (*table.get(where, ()), (rank, rule))
    return table


_BY_FIELD = _by_field()
# An XMP packet has to contain one of these for any rule to match in it.
XMP_STRINGS = tuple(
    {
        rule.string.encode(): None
        for rule in RULES
        if any(where.startswith("xmp:") for where in rule.fields)
    }
)
