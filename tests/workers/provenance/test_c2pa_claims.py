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


@pytest.mark.parametrize("key", ["digital_source_type", "digitalSourceType"])
def test_source_type_of_an_ingredient_in_either_spelling(key: str) -> None:
    """A placed ingredient's source type counts as the library reports it, and as C2PA writes it."""
    active = manifest(action("created", CAPTURED), action("placed"))
    active["ingredients"] = [{"relationship": "componentOf", key: GENERATED}]
    by_metadata = manifest(action("created", CAPTURED), action("placed"))
    by_metadata["ingredients"] = [
        {"relationship": "componentOf", "metadata": {"digitalSourceType": GENERATED}}
    ]

    assert "c2pa_edited" == claim(active=active).kind
    assert "c2pa_edited" == claim(active=by_metadata).kind


def disclosing(
    label: str, data: dict[str, Any], *actions: dict[str, Any], parent: str | None = None
) -> dict[str, Any]:
    """Return a manifest with one more assertion."""
    result = manifest(*actions, parent=parent)
    result["assertions"].append({"label": label, "data": data})
    return result


def oversight(level: str) -> dict[str, Any]:
    """Return an AI disclosure with this level of human oversight."""
    return {"modelType": "c2pa.types.model", "contentProfile": {"humanOversightLevel": level}}


@pytest.mark.parametrize(
    ("data", "origin", "expected"),
    [
        # A model's output that nobody approved, and no other origin.
        (oversight("fully_autonomous"), None, "c2pa_generated"),
        (oversight("prompt_guided"), None, "c2pa_generated"),
        # A model was used, for all of it or for a part.
        (oversight("human_validated"), None, "c2pa_edited"),
        ({"modelType": "c2pa.types.model"}, None, "c2pa_edited"),
        ({}, None, "c2pa_edited"),
        # A photo: relighted by a model, say.
        (oversight("prompt_guided"), CAPTURED, "c2pa_edited"),
        # The source type says it.
        (oversight("human_validated"), GENERATED, "c2pa_generated"),
        ({"digitalSourceType": f"digsrctype:{GENERATED}"}, None, "c2pa_generated"),
    ],
)
@pytest.mark.parametrize("label", ["c2pa.ai-disclosure", "c2pa.ai-disclosure__1"])
def test_ai_disclosure(label: str, data: dict[str, Any], origin: str | None, expected: str) -> None:
    """An AI disclosure is of the whole image where it says so, else of a part."""
    result = claim(active=disclosing(label, data, action("created", origin)))

    assert expected == result.kind


def test_disclosure_after_opening_a_photo_is_of_a_part() -> None:
    """A model that worked on an opened image did not make all of it."""
    data = oversight("fully_autonomous")
    result = claim(
        active=disclosing("c2pa.ai-disclosure", data, action("opened"), parent="photo"),
        photo=manifest(action("created", CAPTURED)),
    )

    assert "c2pa_edited" == result.kind


@pytest.mark.parametrize("label", ["c2pa.training-mining", "cawg.training-mining"])
def test_training_and_mining(label: str) -> None:
    """What may be done with an image is no claim; a source type beside it is one."""
    entries = {"entries": {"cawg.ai_generative_training": {"use": "notAllowed"}}}
    stated = {**entries, "digitalSourceType": f"digsrctype:{GENERATED}"}

    assert "c2pa_other" == claim(active=disclosing(label, entries)).kind
    assert "c2pa_generated" == claim(active=disclosing(label, stated)).kind


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"description": "AI Generated Image"}, "c2pa_generated"),
        ({"softwareAgent": "Bing Image Creator"}, "c2pa_generated"),
        ({"softwareAgent": {"name": "Image Creator from Designer"}}, "c2pa_generated"),
        ({"softwareAgent": "Bing Image Creator", "digitalSourceType": CAPTURED}, "c2pa_other"),
        ({"softwareAgent": "Microsoft Designer"}, "c2pa_other"),
        ({"action": "c2pa.opened", "description": "AI Generated Image"}, "c2pa_other"),
    ],
)
def test_microsofts_manifests_without_a_source_type(more: dict[str, Any], expected: str) -> None:
    """Microsoft's image creator said in words that it generated the image."""
    assert expected == claim(active=manifest(action("created") | more)).kind
