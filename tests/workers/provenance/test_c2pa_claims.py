"""Claims of manifest stores: the strongest one along the chain of ancestors counts."""

from __future__ import annotations

from typing import Any

import pytest

from workers.provenance.c2pa_claims import MAX_ANCESTORS, Claim, read_claim

GENERATED, CAPTURED = "trainedAlgorithmicMedia", "digitalCapture"


def action(name: str, source_type: str | None = None, **parameters: str) -> dict[str, Any]:
    """Return an action with a source type, and parameters."""
    declared = {"digitalSourceType": f"digsrctype:{source_type}"} if source_type else {}
    return {"action": f"c2pa.{name}", "parameters": parameters, **declared}


def manifest(
    *actions: dict[str, Any], parent: str | None = None, placed: str | None = None
) -> dict[str, Any]:
    """Return a manifest with actions and ingredients."""
    ingredients = [
        {"relationship": relationship, "active_manifest": label}
        for relationship, label in (("parentOf", parent), ("componentOf", placed))
        if label
    ]
    assertions = [{"label": "c2pa.actions.v2", "data": {"actions": list(actions)}}]
    return {"assertions": assertions, "ingredients": ingredients}


def claim(**manifests: dict[str, Any]) -> Claim:
    """Return the claim of a store whose active manifest is `active`."""
    result = read_claim({"active_manifest": "active", "manifests": manifests})
    assert result is not None
    return result


def test_generated_image_stays_generated_after_edits() -> None:
    """Edits of any declared type do not change that an ancestor was AI-generated."""
    result = claim(
        active=manifest(action("opened"), action("edited", "composite"), parent="resized"),
        resized=manifest(action("opened"), action("resized", GENERATED), parent="created"),
        created=manifest(action("created", GENERATED)),
    )

    assert ("c2pa_generated", GENERATED, True) == (
        result.kind,
        result.source_type,
        result.from_ingredient,
    )
    assert ("c2pa.edited", "c2pa.resized") == result.since


def test_generated_part_of_a_photo() -> None:
    """A photo with an AI-generated part stays one after human edits."""
    result = claim(
        active=manifest(action("opened"), action("edited", "humanEdits"), parent="filled"),
        filled=manifest(action("opened"), action("edited", GENERATED), parent="photo"),
        photo=manifest(action("created", CAPTURED)),
    )

    assert ("c2pa_edited", ("c2pa.edited",)) == (result.kind, result.since)


def test_part_placed_in_an_ancestor() -> None:
    """An AI-generated image placed into an ancestor is a part, even if it was edited before."""
    result = claim(
        active=manifest(action("opened"), parent="collage"),
        collage=manifest(action("created", CAPTURED), action("placed"), placed="cropped"),
        cropped=manifest(action("opened"), action("cropped"), parent="created"),
        created=manifest(action("created", GENERATED)),
    )

    assert "c2pa_edited" == result.kind


def test_photo_with_edits_only() -> None:
    """Without AI the claim is that of the latest manifest with a source type."""
    result = claim(
        active=manifest(action("opened"), action("edited", "humanEdits"), parent="photo"),
        photo=manifest(action("created", CAPTURED)),
    )

    assert ("c2pa_other", "humanEdits") == (result.kind, result.source_type)


@pytest.mark.parametrize("parent", ["active", "other"])
def test_loops_end(parent: str) -> None:
    """Manifests that are ancestors of themselves are visited once."""
    result = claim(
        active=manifest(action("opened"), parent=parent),
        other=manifest(action("opened"), parent="active"),
    )

    assert "c2pa_other" == result.kind


def test_number_of_ancestors_is_bounded() -> None:
    """A claim behind more ancestors than the maximum is not reached."""
    chain = {f"m{n}": manifest(action("opened"), parent=f"m{n + 1}") for n in range(5_000)}
    near, far = f"m{MAX_ANCESTORS - 2}", f"m{MAX_ANCESTORS}"
    generated = manifest(action("created", GENERATED))
    active = manifest(action("opened"), parent="m0")

    assert "c2pa_generated" == claim(**{**chain, "active": active, near: generated}).kind
    assert "c2pa_other" == claim(**{**chain, "active": active, far: generated}).kind


def test_source_type_in_a_parameter() -> None:
    """Adobe's parameter declares the source type of the image that was opened."""
    parameter = {"com.adobe.digitalSourceType": f"http://example.org/{GENERATED}"}

    assert "c2pa_generated" == claim(active=manifest(action("opened", **parameter))).kind
    assert "c2pa_edited" == claim(active=manifest(action("edited", **parameter))).kind


@pytest.mark.parametrize(
    ("relationship", "kind"), [("parentOf", "c2pa_generated"), ("componentOf", "c2pa_edited")]
)
def test_source_type_of_an_ingredient(relationship: str, kind: str) -> None:
    """A source type declared of an ingredient counts for the whole if that is the parent."""
    active = manifest(action("opened"))
    active["ingredients"] = [{"relationship": relationship, "digitalSourceType": GENERATED}]

    assert kind == claim(active=active).kind


@pytest.mark.parametrize("junk", [None, 5, "x", [], {}, [None], {"assertions": 5}])
def test_junk_is_not_an_error(junk: object) -> None:
    """Values of the wrong type anywhere in the report raise nothing."""
    active = {"assertions": junk, "ingredients": junk, "signature_info": junk}

    assert read_claim({"active_manifest": "active", "manifests": junk}) is None
    assert "c2pa_other" == claim(active=active, other={"ingredients": junk}).kind
