"""What a C2PA manifest store claims of the picture, read from the library's JSON report.

The report repeats what the file says, so nothing in it is taken to have the shape it should have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workers.provenance.evidence import Kind
from workers.provenance.iptc import EDITED, GENERATED, term_of

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_ANCESTORS = 16  # how far back an ingredient's own ingredients are followed

# The actions that say where the picture as a whole came from; others say what was done to it.
_ORIGINS = ("c2pa.created", "c2pa.opened")
_IPTC_PROPERTY = "Iptc4xmpExt:DigitalSourceType"
_METADATA = ("stds.iptc", "c2pa.metadata", "cawg.metadata")


@dataclass(frozen=True, slots=True)
class Claim:
    """What the manifest says: the kind of evidence, by whose word, and how it came by it.

    `failures` are the validator's codes for the ingredient that the claim was taken from.
    """

    kind: Kind
    generator: str
    source_type: str | None
    signer: str
    from_ingredient: bool = False
    failures: frozenset[str] = frozenset()


def claim_of(store: dict[str, Any]) -> Claim | None:
    """What the active manifest claims, or else the ingredients it is made of; None without one."""
    manifests = _dict(store.get("manifests"))
    active = _dict(manifests.get(str(store.get("active_manifest"))))
    if not active:
        return None
    kind, term, inherited, failures = None, None, False, frozenset[str]()
    for manifest, failures in _lineage(active, manifests):  # noqa: B007 - told of the last one
        kind, term = _said(manifest)
        inherited = manifest is not active
        if kind is not None or term is not None:
            break
    if kind is None and (part := _part(active, manifests)) is not None:
        kind, term, inherited, failures = Kind.C2PA_EDITED, GENERATED, True, part
    signer = str(_dict(active.get("signature_info")).get("issuer") or "")[:200]
    if kind is None:  # what failed on the way to a claim that says nothing does not matter
        kind, failures = Kind.C2PA_OTHER, frozenset()
    return Claim(kind, _generator(active), term, signer, inherited and term is not None, failures)


def codes(checked: dict[str, Any], outcome: str) -> frozenset[str]:
    """The validator's codes of one outcome ("success", "failure") for a store or an ingredient."""
    active = _dict(_dict(checked.get("validation_results")).get("activeManifest"))
    return frozenset(str(entry.get("code")) for entry in _dicts(active.get(outcome)))


def _lineage(
    manifest: dict[str, Any], manifests: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], frozenset[str]]]:
    """A manifest and those of what it was made from, each with what failed on the way to it."""
    failures = frozenset[str]()
    for _ in range(MAX_ANCESTORS):
        yield manifest, failures
        ingredient = _whole_ingredient(manifest)
        manifest = _dict(manifests.get(str(ingredient.get("active_manifest"))))
        if not manifest:
            return
        failures |= _failures(ingredient)


def _part(active: dict[str, Any], manifests: dict[str, Any]) -> frozenset[str] | None:
    """What failed in the check of an AI-made part that was put in; None if there is none."""
    whole = _whole_ingredient(active)
    for ingredient in _dicts(active.get("ingredients")):
        if ingredient.get("relationship") == "componentOf" and ingredient is not whole:
            manifest = _dict(manifests.get(str(ingredient.get("active_manifest"))))
            if _said(manifest)[0] is not None:
                return _failures(ingredient)
    return None


def _said(manifest: dict[str, Any]) -> tuple[Kind | None, str | None]:
    """The kind of evidence in one manifest's own assertions, and the term that says so."""
    kind, term = None, None
    for action, said in _source_types(manifest):
        if said == GENERATED and action in _ORIGINS:
            return Kind.C2PA_GENERATED, said
        if said in (GENERATED, EDITED):
            kind, term = Kind.C2PA_EDITED, said
        elif term is None:
            term = said
    return kind, term


def _source_types(manifest: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(action, term) for every digital source type in a manifest's assertions."""
    for assertion in _dicts(manifest.get("assertions")):
        label, data = str(assertion.get("label")), _dict(assertion.get("data"))
        if label.startswith("c2pa.actions"):
            for action in _dicts(data.get("actions")):
                if isinstance(said := action.get("digitalSourceType"), str):
                    yield str(action.get("action")), term_of(said)
        elif label.startswith(_METADATA) and isinstance(data.get(_IPTC_PROPERTY), str):
            yield "c2pa.created", term_of(data[_IPTC_PROPERTY])


def _whole_ingredient(manifest: dict[str, Any]) -> dict[str, Any]:
    """The one ingredient that the picture as a whole was made from, {} if there is none.

    That is its parent, or the only ingredient of a manifest that tells of no action at all:
    ChatGPT wraps what its model made in such a one.
    """
    ingredients = _dicts(manifest.get("ingredients"))
    for ingredient in ingredients:
        if ingredient.get("relationship") == "parentOf":
            return ingredient
    labels = [str(each.get("label")) for each in _dicts(manifest.get("assertions"))]
    acted = any(label.startswith("c2pa.actions") for label in labels)
    return ingredients[0] if len(ingredients) == 1 and not acted else {}


def _failures(ingredient: dict[str, Any]) -> frozenset[str]:
    """What was wrong with an ingredient when it was taken in, or is now."""
    status = _dicts(ingredient.get("validation_status"))  # how earlier editions keep it
    return codes(ingredient, "failure") | {str(entry.get("code")) for entry in status}


def _generator(manifest: dict[str, Any]) -> str:
    said = manifest.get("claim_generator")
    if isinstance(said, str) and said:
        return said[:200]
    names = (info.get("name") for info in _dicts(manifest.get("claim_generator_info")))
    return next((str(name)[:200] for name in names if name), "")


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
