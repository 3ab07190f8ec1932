"""Claims of a C2PA manifest store about how the image was made, from the library's JSON report.

The report repeats what the file contains, so no part of it is assumed to have the right type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workers.provenance.evidence import Kind
from workers.provenance.iptc import EDITED, GENERATED, term_of

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_ANCESTORS = 16
_MAX_NAME_CHARACTERS = 200

# The actions that state where the whole image came from; other actions were done to it.
_ORIGINS = ("c2pa.created", "c2pa.opened")
_IPTC_PROPERTY = "Iptc4xmpExt:DigitalSourceType"
_METADATA = ("stds.iptc", "c2pa.metadata", "cawg.metadata")


@dataclass(frozen=True, slots=True)
class Claim:
    """A manifest's claim: the kind of evidence, the program, source type and signer.

    `from_ingredient`: the claim is not the active manifest's own, but that of an ingredient.
    `failures` are the validator's codes for the ingredient.
    """

    kind: Kind
    generator: str
    source_type: str | None
    signer: str
    from_ingredient: bool = False
    failures: frozenset[str] = frozenset()


def read_claim(store: dict[str, Any]) -> Claim | None:
    """Return the claim of the active manifest, or else of its ingredients; None without one."""
    manifests = _dict(store.get("manifests"))
    active = _dict(manifests.get(str(store.get("active_manifest"))))
    if not active:
        return None
    kind, term, from_ingredient, failures = None, None, False, frozenset[str]()
    for manifest, failures in _lineage(active, manifests):  # noqa: B007 - those of the last one
        kind, term = _own_claim(manifest)
        from_ingredient = manifest is not active
        if kind is not None or term is not None:
            break
    if kind is None and (part_failures := _generated_part(active, manifests)) is not None:
        kind, term, from_ingredient, failures = Kind.C2PA_EDITED, GENERATED, True, part_failures
    if kind is None:  # failures do not matter for a claim that is no evidence
        kind, failures = Kind.C2PA_OTHER, frozenset()
    signer = str(_dict(active.get("signature_info")).get("issuer") or "")[:_MAX_NAME_CHARACTERS]
    from_ingredient = from_ingredient and term is not None
    return Claim(kind, _generator(active), term, signer, from_ingredient, failures)


def codes(checked: dict[str, Any], outcome: str) -> frozenset[str]:
    """Return a store's or ingredient's validation codes for "success" or "failure"."""
    active = _dict(_dict(checked.get("validation_results")).get("activeManifest"))
    return frozenset(str(entry.get("code")) for entry in _dicts(active.get(outcome)))


def _lineage(
    manifest: dict[str, Any], manifests: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], frozenset[str]]]:
    """Yield a manifest and its ancestors, each with the failures on the way to it."""
    failures = frozenset[str]()
    for _ in range(MAX_ANCESTORS):
        yield manifest, failures
        ingredient = _parent(manifest)
        manifest = _dict(manifests.get(str(ingredient.get("active_manifest"))))
        if not manifest:
            return
        failures |= _failures(ingredient)


def _generated_part(active: dict[str, Any], manifests: dict[str, Any]) -> frozenset[str] | None:
    """Return the failures of a placed AI-generated part; None if there is no such part."""
    parent = _parent(active)
    for ingredient in _dicts(active.get("ingredients")):
        if ingredient.get("relationship") == "componentOf" and ingredient is not parent:
            manifest = _dict(manifests.get(str(ingredient.get("active_manifest"))))
            if _own_claim(manifest)[0] is not None:
                return _failures(ingredient)
    return None


def _own_claim(manifest: dict[str, Any]) -> tuple[Kind | None, str | None]:
    """Return the kind of evidence in a manifest's own assertions, and the source type for it."""
    kind, term = None, None
    for action, source_type in _source_types(manifest):
        if source_type == GENERATED and action in _ORIGINS:
            return Kind.C2PA_GENERATED, source_type
        if source_type in (GENERATED, EDITED):
            kind, term = Kind.C2PA_EDITED, source_type
        elif term is None:
            term = source_type
    return kind, term


def _source_types(manifest: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (action, term) for each digital source type in a manifest's assertions."""
    for assertion in _dicts(manifest.get("assertions")):
        label, data = str(assertion.get("label")), _dict(assertion.get("data"))
        if label.startswith("c2pa.actions"):
            for action in _dicts(data.get("actions")):
                if isinstance(source_type := action.get("digitalSourceType"), str):
                    yield str(action.get("action")), term_of(source_type)
        elif label.startswith(_METADATA) and isinstance(data.get(_IPTC_PROPERTY), str):
            yield "c2pa.created", term_of(data[_IPTC_PROPERTY])


def _parent(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the ingredient that became the whole image; {} if there is none.

    That is the parent, or the only ingredient of a manifest without actions: ChatGPT wraps the
    output of its model in such a manifest.
    """
    ingredients = _dicts(manifest.get("ingredients"))
    for ingredient in ingredients:
        if ingredient.get("relationship") == "parentOf":
            return ingredient
    labels = [str(assertion.get("label")) for assertion in _dicts(manifest.get("assertions"))]
    has_actions = any(label.startswith("c2pa.actions") for label in labels)
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
