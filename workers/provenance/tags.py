"""The tags that image generators write of their own accord, as one table."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workers.provenance.evidence import Kind, finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.records import Finding
    from workers.provenance.field import Field

EXCERPT_CHARACTERS = 200
# Bounds on the time that patterns take: of a longer text they see the beginning and the end,
# where settings stand, and of many fields of one name the first few.
MAX_MATCHED_CHARACTERS = 1 << 14
MAX_FIELDS_OF_A_NAME = 4

# Where programs sign their work, where people are credited, and where settings are kept.
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
    "jpeg:comment",
    "gif:comment",
)
_GRAPH = ("png:prompt", "exif:Make", "exif:Model", "exif:UserComment", "exif:ImageDescription")


@dataclass(frozen=True, slots=True)
class Rule:
    """A generator, the fields it writes, a string that they hold and a pattern they match.

    The string is looked for first, as it costs next to nothing.
    """

    generator: str
    fields: tuple[str, ...]
    string: str = ""
    pattern: re.Pattern[str] = re.compile("")


def _named(generator: str, name: str = "", *, credited: bool = True) -> Rule:
    """A rule for a generator that signs with its name, as a word of its own."""
    name = name or generator
    fields = _SOFTWARE + (_CREDIT if credited else ())
    return Rule(generator, fields, name, re.compile(rf"(?<!\w){re.escape(name)}(?!\w)"))


# From the particular to the general: the first rule that holds names the generator. Which rules
# were tried on real files, and which stand on what is told of a tool, is in the reference page.
RULES = (
    _named("NovelAI"),
    _named("Midjourney"),
    _named("Adobe Firefly"),
    _named("Google AI", "Made with Google AI"),
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
    # A graph in the form that the server runs: {"3": {"class_type": …, "inputs": …}, …}.
    Rule(
        "ComfyUI",
        _GRAPH,
        '"class_type"',
        re.compile(r'\A(?:[Pp]rompt:)?\s*\{\s*"[^"]{1,64}"\s*:\s*\{'),
    ),
    # The same in the form that its editor draws; other programs call things "workflow", too.
    Rule(
        "ComfyUI",
        ("png:workflow", "exif:Make", "exif:Model", "exif:UserComment"),
        '"nodes"',
        re.compile(r'\A(?:[Ww]orkflow:)?\s*\{[\s\S]*"last_?(?:node_id|NodeId)"'),
    ),
    Rule(
        "Stable Diffusion web UI",
        _SETTINGS,
        "CFG scale: ",  # which no other program's steps and seeds have beside them
        re.compile(r"\bSteps: \d{1,5}, [^\n]{0,400}?\bSeed: \d"),
    ),
)


def findings(fields: Sequence[Field]) -> list[Finding]:
    """At most one finding: the generator by the first rule that holds, and where it shows."""
    found: list[tuple[int, Field]] = []
    seen = Counter[str]()
    for field in fields:
        seen[field.where] += 1
        if seen[field.where] > MAX_FIELDS_OF_A_NAME:
            continue
        for rank, rule in _BY_FIELD.get(field.where, ()):
            if rule.string in field.text and rule.pattern.search(_clipped(field.text)):
                found.append((rank, field))
                break
    if not found:
        return []
    rank, field = min(found, key=lambda pair: pair[0])
    generator = RULES[rank].generator
    detail = {
        "generator": generator,
        "where": field.where,
        "excerpt": field.text[:EXCERPT_CHARACTERS],
        "also": [other.where for _, other in found if other is not field],
    }
    text = f"{generator} left its mark in {field.where}."
    return [finding(Kind.GENERATOR_TAG, text, detail)]


def _clipped(text: str) -> str:
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
# Of which an XMP packet has to hold one for any rule to hold in it.
IN_XMP = tuple(
    {
        rule.string.encode(): None
        for rule in RULES
        if any(where.startswith("xmp:") for where in rule.fields)
    }
)
