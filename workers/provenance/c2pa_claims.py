"""Claims of a C2PA manifest store about how the image was made, from the library's JSON report.

The report repeats what the file contains, so no part of it is assumed to have the right type.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from workers.provenance.evidence import Extent, Kind
from workers.provenance.source_types import EXTENTS, term_of

if TYPE_CHECKING:
    from collections.abc import Iterator

# Bounds against files made to be slow; the last one is of actions that are listed.
MAX_ANCESTORS = 32
MAX_INGREDIENTS = 32
MAX_ACTIONS = 16
_MAX_NAME_CHARACTERS = 200

# The actions that state where the whole image came from; other actions were done to it.
_ORIGINS = ("c2pa.created", "c2pa.opened")
_IPTC_PROPERTY = "Iptc4xmpExt:DigitalSourceType"
_METADATA = ("stds.iptc", "c2pa.metadata", "cawg.metadata")
# C2PA 2.4, 18.27: which model made or changed the image. The use of a model alone does not say that
# it made all of it; output that nobody approved is a model's own.
_DISCLOSURE = "c2pa.ai-disclosure"
_UNAPPROVED = ("fully_autonomous", "prompt_guided")
# They say what may be done with the image; some writers add where it came from.
_TRAINING = ("c2pa.training-mining", "cawg.training-mining")
# Microsoft's programs of 2023 and 2024 stated no source type.
_GENERATED_DESCRIPTION = "ai generated image"
_GENERATORS = ("bing image creator", "image creator from designer")
_KINDS = {Extent.WHOLE: Kind.C2PA_GENERATED, Extent.PART: Kind.C2PA_EDITED, None: Kind.C2PA_OTHER}


@dataclass(frozen=True, slots=True)
class Claim:
    """A manifest store's claim: the kind of evidence, the program, source type and signer.

    `signed` is when its time stamp says, in ISO 8601; empty without one. `from_ingredient`: the
    claim is not the active manifest's own, but that of an ingredient. `since` are the actions of
    later manifests, the latest first. `failures` are the validator's codes for the ingredients on
    the way to the claim.
    """

    kind: Kind
    generator: str
    source_type: str | None
    signer: str
    signed: str = ""
    from_ingredient: bool = False
    since: tuple[str, ...] = ()
    failures: frozenset[str] = frozenset()


class _Statement(NamedTuple):
    """The statement of one manifest, or of an ingredient, about the whole image."""

    extent: Extent | None
    term: str | None
    ancestor: int  # 0 is the active manifest
    failures: frozenset[str] = frozenset()
    is_ingredients: bool = False


def read_claim(store: dict[str, Any]) -> Claim | None:
    """Return the strongest claim of the active manifest and its ancestors; None without a manifest.

    An AI-generated image stays one after edits. An AI-generated part that was placed in the image
    or in an ancestor counts as a part. Among equal claims the latest counts.
    """
    manifests = _dict(store.get("manifests"))
    active = _dict(manifests.get(str(store.get("active_manifest"))))
    if not active:
        return None
    lineage = _lineage(active, manifests)
    statements = [s for n, step in enumerate(lineage) for s in _statements(n, step, manifests)]
    best = min(statements, key=_rank, default=_Statement(None, None, 0))
    signature = _dict(active.get("signature_info"))
    return Claim(
        kind=_KINDS[best.extent],
        generator=_generator(active),
        source_type=best.term,
        signer=str(signature.get("issuer") or "")[:_MAX_NAME_CHARACTERS],
        signed=str(signature.get("time") or "")[:_MAX_NAME_CHARACTERS],
        from_ingredient=best.ancestor > 0 or best.is_ingredients,
        since=tuple(_actions_since(lineage[: best.ancestor])),
        # Failures do not matter for a claim that is no evidence.
        failures=best.failures if best.extent is not None else frozenset(),
    )


def codes(checked: dict[str, Any], outcome: str) -> frozenset[str]:
    """Return a store's or ingredient's validation codes for "success" or "failure"."""
    active = _dict(_dict(checked.get("validation_results")).get("activeManifest"))
    return frozenset(str(entry.get("code")) for entry in _dicts(active.get(outcome)))


def _lineage(
    manifest: dict[str, Any], manifests: dict[str, Any]
) -> list[tuple[dict[str, Any], frozenset[str]]]:
    """Return a manifest and its ancestors, each with the failures on the way to it."""
    lineage: list[tuple[dict[str, Any], frozenset[str]]] = []
    failures, seen = frozenset[str](), set[str]()
    while manifest and len(lineage) < MAX_ANCESTORS:
        lineage.append((manifest, failures))
        parent = _parent(manifest)
        label = str(parent.get("active_manifest"))
        if label in seen:
            break
        seen.add(label)
        manifest = _dict(manifests.get(label))
        failures |= _failures(parent)
    return lineage


def _statements(
    ancestor: int, step: tuple[dict[str, Any], frozenset[str]], manifests: dict[str, Any]
) -> Iterator[_Statement]:
    """Yield the statements of one manifest of the lineage, then those of its ingredients."""
    manifest, failures = step
    yield from (_Statement(*own, ancestor, failures) for own in _own_statements(manifest))
    parent = _parent(manifest)
    for ingredient in _dicts(manifest.get("ingredients"))[:MAX_INGREDIENTS]:
        there = failures | _failures(ingredient)
        if (source_type := _ingredient_source_type(ingredient)) is not None:
            term = term_of(source_type)
            extent = EXTENTS.get(term)
            is_part = extent is not None and ingredient is not parent
            yield _Statement(Extent.PART if is_part else extent, term, ancestor, there, True)
        if ingredient is not parent and ingredient.get("relationship") == "componentOf":
            yield from _part_statements(ancestor, ingredient, there, manifests)


def _part_statements(
    ancestor: int, ingredient: dict[str, Any], failures: frozenset[str], manifests: dict[str, Any]
) -> Iterator[_Statement]:
    """Yield the statement that a placed part is AI-generated, from its own lineage."""
    placed = _dict(manifests.get(str(ingredient.get("active_manifest"))))
    for manifest, more in _lineage(placed, manifests):
        for extent, term in _own_statements(manifest):
            if extent is not None:
                yield _Statement(Extent.PART, term, ancestor, failures | more, True)
                return


def _own_statements(manifest: dict[str, Any]) -> Iterator[tuple[Extent | None, str | None]]:
    """Yield (extent, term) for each statement in a manifest's own assertions."""
    has_source_type = False
    for action, term in _source_types(manifest):
        has_source_type = True
        extent = EXTENTS.get(term)
        is_part = extent is not None and action not in _ORIGINS
        yield Extent.PART if is_part else extent, term
    for label, data in _assertions(manifest):
        if any(map(_is_generated, _actions(label, data))):
            yield Extent.WHOLE, None
        if label.startswith(_DISCLOSURE):
            level = _dict(data.get("contentProfile")).get("humanOversightLevel")
            is_whole = level in _UNAPPROVED and not has_source_type and not _parent(manifest)
            yield Extent.WHOLE if is_whole else Extent.PART, None


def _source_types(manifest: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (action, term) for each digital source type in a manifest's own assertions."""
    for label, data in _assertions(manifest):
        for action in _actions(label, data):
            parameters = _dict(action.get("parameters"))
            for source_type in (
                action.get("digitalSourceType"),
                parameters.get("com.adobe.digitalSourceType"),
            ):
                if isinstance(source_type, str):
                    yield str(action.get("action")), term_of(source_type)
        stated: object = None
        if label.startswith(_METADATA):
            stated = data.get(_IPTC_PROPERTY)
        elif label.startswith((_DISCLOSURE, *_TRAINING)):
            stated = data.get("digitalSourceType", data.get(_IPTC_PROPERTY))
        if isinstance(stated, str):
            yield "c2pa.created", term_of(stated)


def _assertions(manifest: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield label and data of a manifest's assertions."""
    for assertion in _dicts(manifest.get("assertions")):
        yield str(assertion.get("label")), _dict(assertion.get("data"))


def _is_generated(action: dict[str, Any]) -> bool:
    """Check whether a program that states no source type says that it generated the image."""
    if action.get("action") != "c2pa.created" or "digitalSourceType" in action:
        return False
    agent = action.get("softwareAgent")
    name = _dict(agent).get("name") if isinstance(agent, dict) else agent
    description = str(action.get("description")).strip().lower()
    return description == _GENERATED_DESCRIPTION or str(name).lower().startswith(_GENERATORS)


def _ingredient_source_type(ingredient: dict[str, Any]) -> str | None:
    """Return an ingredient's source type: its own (C2PA 2.4; the library's name), or metadata's."""
    metadata = _dict(ingredient.get("metadata"))
    for stated in (
        ingredient.get("digital_source_type"),
        ingredient.get("digitalSourceType"),
        metadata.get("digitalSourceType"),
    ):
        if isinstance(stated, str):
            return stated
    return None


def _actions(label: str, data: dict[str, Any]) -> list[dict[str, Any]]:
    return _dicts(data.get("actions")) if label.startswith("c2pa.actions") else []


def _actions_since(lineage: list[tuple[dict[str, Any], frozenset[str]]]) -> Iterator[str]:
    """Yield the names of actions in manifests, except for opening the earlier image."""
    names = (
        str(action.get("action"))[:_MAX_NAME_CHARACTERS]
        for manifest, _ in lineage
        for label, data in _assertions(manifest)
        for action in _actions(label, data)
    )
    return islice((name for name in names if name not in _ORIGINS), MAX_ACTIONS)


def _rank(statement: _Statement) -> tuple[int, int]:
    """Return the order of claims: the whole image, a part, neither; the latest first."""
    return [Extent.WHOLE, Extent.PART, None].index(statement.extent), statement.ancestor


def _parent(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the ingredient that became the whole image; {} if there is none.

    That is the parent, or the only ingredient of a manifest without actions: ChatGPT wraps the
    output of its model in such a manifest.
    """
    ingredients = _dicts(manifest.get("ingredients"))
    for ingredient in ingredients:
        if ingredient.get("relationship") == "parentOf":
            return ingredient
    has_actions = any(label.startswith("c2pa.actions") for label, _ in _assertions(manifest))
    return ingredients[0] if len(ingredients) == 1 and not has_actions else {}


def _failures(ingredient: dict[str, Any]) -> frozenset[str]:
    """Return the failures of an ingredient's checks, when it was added and now."""
    status = _dicts(ingredient.get("validation_status"))  # of earlier editions
    return codes(ingredient, "failure") | {str(entry.get("code")) for entry in status}


def _generator(manifest: dict[str, Any]) -> str:
    infos = _dicts(manifest.get("claim_generator_info"))
    for name in (manifest.get("claim_generator"), *(info.get("name") for info in infos)):
        if isinstance(name, str) and name:
            return name[:_MAX_NAME_CHARACTERS]
    return ""


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
