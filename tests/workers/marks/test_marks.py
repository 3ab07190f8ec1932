"""Marks as findings of a scan: they settle an image, whatever its models say."""

from __future__ import annotations

from io import BytesIO

import pytest
from marked_images import A1111, embed, hide, texture
from PIL import Image

from storage.records import Finding, Outcome, Plan, PlannedDetector, Thresholds
from tests.workers.marks.test_visible import barred
from workers import marks
from workers.images.decode import decode
from workers.marks import invisible
from workers.pipeline.decide import DecisionRule

RULE = DecisionRule(
    Plan(
        (
            PlannedDetector("marks", "1", "", Thresholds(0.5, 0.9)),
            PlannedDetector("scenes", "1", "", Thresholds(0.6, 0.95)),
        )
    )
)


def saved(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    """Return an image's file."""
    stored = BytesIO()
    image.save(stored, form, **options)
    return stored.getvalue()


def read(data: bytes) -> list[Finding]:
    """Return the marks of a file."""
    return list(marks.read(decode(data, native=True)))


@pytest.mark.parametrize(
    ("image", "kind", "generator"),
    [
        (hide(b"stealth_pnginfo", A1111.encode()), "hidden_settings", "Stable Diffusion web UI"),
        (embed(texture(3), list(invisible.MESSAGES[1].bits)), "invisible_mark", "FLUX.1"),
        (barred(1024), "visible_mark", "DALL-E"),
    ],
    ids=["hidden", "invisible", "visible"],
)
def test_findings(image: Image.Image, kind: str, generator: str) -> None:
    """Each kind is one finding of the detector, from which the image is AI-generated."""
    (found,) = read(saved(image))

    assert ("marks", kind, generator) == (found.detector, found.kind, found.detail["generator"])
    assert Outcome.AI is RULE.decide([found]).outcome


def test_lossless_webp() -> None:
    """What is in the lowest bits is read from a lossless WebP, too."""
    (found,) = read(saved(hide(b"stealth_rgbinfo", A1111.encode()), "WEBP", lossless=True))

    assert "hidden_settings" == found.kind


def test_box() -> None:
    """The box of a visible mark is in pixels of the image."""
    (found,) = read(saved(barred(1024)))

    assert [944, 1008, 1024, 1024] == found.detail["box"]


def test_models_do_not_weaken_a_mark() -> None:
    """Neither a low score nor a degraded image takes anything from it; pixels were not examined."""
    mark = Finding("marks", "visible_mark", 0.95)
    findings = [mark, Finding("router", "degraded"), Finding("scenes", "score", 0.01)]

    decision = RULE.decide(findings)

    assert (Outcome.AI, 0.95, "marks") == (decision.outcome, decision.score, decision.detector)
    assert not RULE.decide([mark]).examined


def test_reduced_images() -> None:
    """An image that was decoded at a smaller size shows no marks."""
    assert [] == list(marks.read(decode(saved(barred(2048)))))


def test_turned_images() -> None:
    """In an image that is stored turned no visible mark is looked for."""
    exif = Image.Exif()
    exif[0x0112] = 6

    assert [] == read(saved(barred(1024), "JPEG", quality=95, exif=exif))
