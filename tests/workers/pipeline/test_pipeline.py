"""The stages of a chunk: a bad image is one error, other errors are raised."""

from __future__ import annotations

import hashlib
import io
import struct
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from storage.records import (
    NEVER,
    BatchImage,
    ErrorKind,
    Finding,
    ImageError,
    Outcome,
    Plan,
    PlannedDetector,
    Sidecar,
    Thresholds,
    Verdict,
)
from workers import provenance
from workers.detectors import installed
from workers.detectors.card import Card, Input
from workers.detectors.card import Thresholds as CardThresholds
from workers.pipeline import pipeline
from workers.pipeline.inputs import InputSelector
from workers.pipeline.pipeline import CHUNK_IMAGES, Pipeline, make_pipeline
from workers.pipeline.plan import make_plan
from workers.sources.source import Fetched, FetchError, SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

INPUT = Input(32, 32, "RGB", 0, 255, 16, 64)
NET = PlannedDetector("grey", "1", "", Thresholds(0.4, 0.8))
PROVENANCE = PlannedDetector("provenance", "1", "", Thresholds(0.5, 0.9))


class Grey:
    """A detector that scores brightness."""

    card = Card("grey", "1", "", CardThresholds(0.4, 0.8), (), input=INPUT)

    def __init__(self) -> None:
        self.calls: list[int] = []

    def score(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Return the mean brightness of each image."""
        self.calls.append(len(images))
        assert all(image.shape == (32, 32, 3) for image in images)
        return np.array([image.mean() / 255 for image in images])


@dataclass
class Files:
    """A source with files, or with errors in place of them."""

    files: dict[bytes, bytes | Exception] = field(default_factory=dict)
    sizes: list[int | None] = field(default_factory=list)

    def fetch(self, relative: bytes, expected_size: int | None = None) -> Fetched:
        """Return one file, or raise its error."""
        self.sizes.append(expected_size)
        found = self.files[relative]
        if isinstance(found, Exception):
            raise found
        return Fetched(found, hashlib.sha256(found).digest())

    def fetch_sidecar(self, image: bytes, sidecar: Sidecar) -> bytes:
        """Return a sidecar, or raise its error."""
        return self.fetch(sidecar.path(image), sidecar.size_bytes).data

    def images(self) -> list[BatchImage]:
        """Return all images, numbered from 1."""
        return [BatchImage(n, path, 100 + n) for n, path in enumerate(self.files, start=1)]


def picture(grey: int = 0, size: tuple[int, int] = (32, 32), info: PngInfo | None = None) -> bytes:
    """Return a PNG of one grey."""
    file = io.BytesIO()
    Image.new("RGB", size, (grey, grey, grey)).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def tagged_of(size: tuple[int, int], grey: int = 0) -> bytes:
    """Return a PNG with the metadata of the Stable Diffusion web UI."""
    info = PngInfo()
    info.add_text("parameters", "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1")
    return picture(grey, size, info)


def tagged(grey: int = 0) -> bytes:
    """Return such a PNG of the model's input size."""
    return tagged_of((32, 32), grey)


def judge(
    source: Files, *, plan: tuple[PlannedDetector, ...] = (NET, PROVENANCE), net: Grey | None = None
) -> list[Verdict]:
    """Return the verdicts on all images of a source."""
    made = Pipeline(Plan(plan), {"grey": net or Grey()}, max_pixels=1_000_000)
    return made.chunk(source, source.images())


def test_sidecars_count() -> None:
    """The settings in a sidecar decide; one that cannot be read is told, and the next counts."""
    settings = b"a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1"
    gone = FetchError(ErrorKind.UNREADABLE, "cannot be read (No such file or directory)")
    source = Files({b"d/a.png": picture(51), b"d/a.xmp": gone, b"d/a.txt": settings})
    listed = tuple(Sidecar(name, 9, 1) for name in (b"a.xmp", b"a.txt"))
    made = Pipeline(Plan((NET, PROVENANCE)), {"grey": Grey()}, max_pixels=1_000_000)
    without = Pipeline(Plan((NET,)), {"grey": Grey()}, max_pixels=1_000_000)
    image = BatchImage(1, b"d/a.png", 9, listed)

    (verdict,), (other,) = made.chunk(source, [image]), without.chunk(source, [image])

    assert (Outcome.AI, "provenance") == (verdict.outcome, verdict.detector)
    found = [(f.kind, f.detail["sidecar"]) for f in verdict.findings if f.detector != "grey"]
    assert [("sidecar_unreadable", "a.xmp"), ("generator_tag", "a.txt")] == found
    assert (Outcome.NO_EVIDENCE, 1) == (other.outcome, len(other.findings))


def test_scores_decide() -> None:
    """Each image is scored by the detector of its size; score and thresholds decide."""
    dark, middle, bright = judge(Files({b"d": picture(51), b"m": picture(127), b"b": picture(255)}))

    assert (Outcome.NO_EVIDENCE, 0.2, "grey", True) == (
        dark.outcome, dark.score, dark.detector, dark.examined
    )  # fmt: skip
    assert (Outcome.UNSURE, 127 / 255) == (middle.outcome, pytest.approx(middle.score))
    assert (Outcome.AI, 1.0) == (bright.outcome, bright.score)
    assert (Finding("grey", "score", 1.0),) == bright.findings


def test_resized_images_are_unsure_at_most() -> None:
    """An image of another size is scored with a remark, and never called AI."""
    small, native, tagged_too = judge(
        Files({b"s": picture(255, (20, 30)), b"n": picture(255), b"t": tagged_of((48, 48))})
    )

    assert (Outcome.UNSURE, 1.0, True) == (small.outcome, small.score, small.examined)
    assert ({"resized_from": [20, 30]}, "resized from 20x30: at most unsure") == (
        small.findings[0].detail,
        small.findings[0].text,
    )
    assert Outcome.AI == native.outcome
    # What its file says is not weakened by it.
    assert (Outcome.AI, "provenance") == (tagged_too.outcome, tagged_too.detector)


def test_raw_file_is_examined_by_its_preview(monkeypatch: pytest.MonkeyPatch) -> None:
    """A finding says so and limits the verdict; marks, which no camera leaves, are not read."""
    monkeypatch.setattr(pipeline.marks, "read", lambda _: pytest.fail("marks were read"))
    large = replace(Grey.card, input=replace(INPUT, largest_side=2000))
    monkeypatch.setattr(Grey, "card", large)
    file = io.BytesIO()
    Image.new("RGB", (800, 600), "white").save(file, "JPEG")
    preview = file.getvalue()
    # Two directories: that of the file, and the one of the preview below it.
    first = struct.pack("<HHHIIHHIII", 2, 254, 4, 1, 1, 330, 4, 1, 38, 0)
    below = struct.pack("<HHHIIHHIII", 2, 513, 4, 1, 68, 514, 4, 1, len(preview), 0)
    nef = struct.pack("<4sI", b"II*\0", 8) + first + below + preview
    marks = PlannedDetector("marks", "1", "", Thresholds(0.5, 0.9))
    (verdict,) = judge(Files({b"a.NEF": nef}), plan=(NET, PROVENANCE, marks))

    assert ("router", "preview", [800, 600]) == (
        verdict.findings[0].detector,
        verdict.findings[0].kind,
        verdict.findings[0].detail["preview"],
    )
    assert (Outcome.UNSURE, "grey", True) == (verdict.outcome, verdict.detector, verdict.examined)
    assert verdict.error is None


def test_id_digest_and_size_are_passed_on() -> None:
    """A verdict has the image's id and digest; the listed size is passed to the source."""
    files = Files({b"a": picture(1), b"b": picture(2)})
    verdicts = judge(files)

    assert [1, 2] == [verdict.image_id for verdict in verdicts]
    assert [hashlib.sha256(picture(n)).digest() for n in (1, 2)] == [v.digest for v in verdicts]
    assert [101, 102] == files.sizes


def test_one_call_for_a_chunk() -> None:
    """All images of a chunk for one detector are scored together."""
    net = Grey()
    judge(Files({b"%d" % n: picture(n) for n in range(5)}), net=net)

    assert [5] == net.calls


def test_no_detector_for_the_size() -> None:
    """A large image is not scored by a detector of small ones: no evidence, not examined."""
    net = Grey()
    (verdict,) = judge(Files({b"large": picture(255, (200, 100))}), net=net)

    assert [] == net.calls
    assert (Outcome.NO_EVIDENCE, None, None, False) == (
        verdict.outcome, verdict.score, verdict.detector, verdict.examined
    )  # fmt: skip
    assert ["no_detector"] == [said.kind for said in verdict.findings]


def test_provenance_and_pixels() -> None:
    """A generator's tag decides over a model without evidence, and both findings are kept."""
    (verdict,) = judge(Files({b"tagged": tagged(0)}))

    assert (Outcome.AI, "provenance", True) == (
        verdict.outcome, verdict.detector, verdict.examined
    )  # fmt: skip
    assert [("provenance", "generator_tag"), ("grey", "score")] == [
        (said.detector, said.kind) for said in verdict.findings
    ]


def test_without_provenance() -> None:
    """A plan without provenance does not read it."""
    (verdict,) = judge(Files({b"tagged": tagged(0)}), plan=(NET,))

    assert (Finding("grey", "score", 0.0),) == verdict.findings


def test_only_provenance() -> None:
    """A plan with nothing but provenance examines no pixels."""
    made = Pipeline(Plan((PROVENANCE,)), {}, max_pixels=1_000_000)
    source = Files({b"plain": picture(255), b"tagged": tagged(255)})
    plain, with_tag = made.chunk(source, source.images())

    assert (Outcome.NO_EVIDENCE, False) == (plain.outcome, plain.examined)
    assert (Outcome.AI, False) == (with_tag.outcome, with_tag.examined)


BAD = {
    ErrorKind.UNREADABLE: FetchError(ErrorKind.UNREADABLE, "cannot be read"),
    ErrorKind.CHANGED: FetchError(ErrorKind.CHANGED, "has 5 bytes now"),
    ErrorKind.OUTSIDE: FetchError(ErrorKind.OUTSIDE, "its path leaves the collection"),
    ErrorKind.EMPTY: FetchError(ErrorKind.EMPTY, "has no bytes at all"),
    ErrorKind.NOT_AN_IMAGE: b"just some words",
    ErrorKind.UNSUPPORTED: b"%PDF-1.7\n" + bytes(100),
    ErrorKind.TRUNCATED: picture(9)[:-30],
    ErrorKind.TOO_LARGE: picture(9, (1001, 1000)),
    # What nobody foresaw.
    ErrorKind.INTERNAL: ZeroDivisionError("never thought of"),
}


@pytest.mark.parametrize("kind", BAD)
def test_one_bad_image(kind: ErrorKind, caplog: pytest.LogCaptureFixture) -> None:
    """A bad image is one error of its kind; those before and after it are judged."""
    before, bad, after = judge(
        Files({b"before": picture(255), b"bad": BAD[kind], b"after": picture(255)})
    )

    assert (Outcome.ERROR, kind) == (bad.outcome, bad.error.kind if bad.error else None)
    assert not bad.examined
    assert [Outcome.AI, Outcome.AI] == [before.outcome, after.outcome]
    assert [None, None] == [before.error, after.error]


def test_an_error_in_provenance_is_an_error_of_one_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected exception while metadata is read is an error of that image alone."""
    broken = tagged(1)

    def read(data: bytes, _trust: object) -> tuple[Finding, ...]:
        if data == broken:
            raise RuntimeError("a reader's bug")
        return ()

    monkeypatch.setattr(provenance, "read", read)
    bad, good = judge(Files({b"bad": broken, b"good": tagged(255)}))

    assert ErrorKind.INTERNAL == (bad.error.kind if bad.error else None)
    assert "RuntimeError" in (bad.error.text if bad.error else "")
    assert hashlib.sha256(broken).digest() == bad.digest
    assert Outcome.AI == good.outcome


NAMES = PlannedDetector("file_names", "1", "", Thresholds(0.5, NEVER))


@pytest.mark.parametrize(("planned", "expected"), [((NAMES,), "unsure"), ((), "no_evidence")])
def test_names_of_generators(planned: tuple[PlannedDetector, ...], expected: str) -> None:
    """A generator's name makes an image unsure where the plan has file names, and is no error."""
    path = b"a/Gemini_Generated_Image_abc123.png"
    source = Files({path: picture(0), b"a/IMG_1234.png": picture(0), b"x/" + path: b"no image"})
    named, plain, broken = judge(source, plan=(NET, *planned))

    assert (expected, bool(planned)) == (
        named.outcome, "file_names" in [finding.detector for finding in named.findings]
    )  # fmt: skip
    assert named.examined
    assert Outcome.NO_EVIDENCE == plain.outcome
    assert Outcome.ERROR == broken.outcome


def edited() -> bytes:
    """Return a PNG whose XMP says that a part of it is AI-generated."""
    info = PngInfo()
    source = "compositeWithTrainedAlgorithmicMedia"
    info.add_itxt(
        "XML:com.adobe.xmp",
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        f' e:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/{source}"/>'
        "</rdf:RDF>",
    )
    return picture(1, info=info)


UNDECODABLE = {
    ErrorKind.TRUNCATED: tagged(1)[:-30],
    ErrorKind.DAMAGED: tagged(1).replace(b"IDAT", b"IDAX"),
    ErrorKind.TOO_LARGE: tagged_of((1001, 1000)),
}


@pytest.mark.parametrize("kind", UNDECODABLE)
def test_metadata_settles_an_image_that_cannot_be_decoded(kind: ErrorKind) -> None:
    """An image that names its generator is `ai`, and its error is kept beside that."""
    (verdict,) = judge(Files({b"cut": UNDECODABLE[kind]}))

    assert (Outcome.AI, 0.98, "provenance", False) == (
        verdict.outcome, verdict.score, verdict.detector, verdict.examined
    )  # fmt: skip
    assert kind == (verdict.error.kind if verdict.error else None)
    assert ["generator_tag"] == [said.kind for said in verdict.findings]


def test_weaker_metadata_settles_nothing() -> None:
    """A damaged image with metadata for `unsure` is an error, with its findings."""
    whole, cut = judge(Files({b"whole": edited(), b"cut": edited()[:-30]}))

    assert Outcome.UNSURE == whole.outcome
    assert (Outcome.ERROR, "provenance") == (cut.outcome, cut.detector)
    assert whole.findings[0] == cut.findings[0]


def test_by_metadata_no_pixel_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Metadata alone gives a verdict on an image whose pixels are known to be dangerous."""
    monkeypatch.setattr(pipeline, "decode", lambda *_, **__: pytest.fail("decoded"))
    made = Pipeline(Plan((NET, PROVENANCE)), {"grey": Grey()}, max_pixels=1_000_000)
    error = ImageError(ErrorKind.CRASHED, "killed the process that read it, 2 times")
    source = Files({b"tagged": tagged(1), b"plain": picture(1), b"gone": BAD[ErrorKind.EMPTY]})
    verdicts = [made.by_metadata(source, image, error) for image in source.images()]

    assert [Outcome.AI, Outcome.ERROR, Outcome.ERROR] == [each.outcome for each in verdicts]
    assert [error] * 3 == [each.error for each in verdicts]


def test_an_unavailable_source_is_raised() -> None:
    """If the source is gone, no image of the chunk gets a verdict."""
    with pytest.raises(SourceUnavailable):
        judge(Files({b"a": picture(1), b"b": SourceUnavailable("unmounted"), b"c": picture(1)}))


def test_a_chunk_has_a_maximum_size() -> None:
    """A chunk takes the first 64 images and leaves the rest."""
    verdicts = judge(Files({b"%03d" % n: picture(1) for n in range(CHUNK_IMAGES + 6)}))

    assert list(range(1, 65)) == [verdict.image_id for verdict in verdicts]


@pytest.mark.parametrize(("seconds", "expected"), [(0.9, 3), (2.5, 1), (0.001, 5)])
def test_a_chunk_has_a_maximum_time(
    monkeypatch: pytest.MonkeyPatch, seconds: float, expected: int
) -> None:
    """A chunk ends with the image during which two seconds have passed."""
    clock = [100.0]
    source = Files({b"%d" % n: picture(1) for n in range(5)})
    monkeypatch.setattr(pipeline, "monotonic", lambda: clock[0])

    def begin(_image: BatchImage) -> None:
        clock[0] += seconds

    made = Pipeline(Plan((NET,)), {"grey": Grey()}, max_pixels=1_000_000)

    assert expected == len(made.chunk(source, source.images(), begin))


def test_a_detector_outside_the_plan_is_not_missing() -> None:
    """A plan with provenance alone says that the detector of this size is not planned."""
    source = Files({b"a": picture(1)})
    cards = installed.installed()
    (verdict,) = make_pipeline(make_plan(cards, ["provenance"]), 1_000_000).chunk(
        source, source.images()
    )

    assert ["not_planned"] == [said.kind for said in verdict.findings]


def test_begin_is_called_with_each_image() -> None:
    """It is called before an image is fetched."""
    source = Files({b"a": picture(1), b"b": FetchError(ErrorKind.EMPTY, ""), b"c": picture(1)})
    begun: list[tuple[int, int]] = []
    made = Pipeline(Plan((NET,)), {"grey": Grey()}, max_pixels=1_000_000)
    made.chunk(
        source, source.images(), lambda image: begun.append((image.image_id, len(source.sizes)))
    )

    assert [(1, 0), (2, 1), (3, 2)] == begun


def test_timings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stage has its own time; that of a batch is divided among its images."""
    # Nanoseconds that pass at each look at the clock: 1 ms.
    ticks = iter(range(0, 10**9, 10**6))
    monkeypatch.setattr(pipeline, "perf_counter_ns", lambda: next(ticks))
    one, bad = judge(Files({b"one": picture(1), b"bad": BAD[ErrorKind.EMPTY]}))

    # Begun, fetched, metadata read, decoded, looked at; then, of all, the inputs and the net.
    assert (1000, 1000, 4000) == (one.timings.fetch_us, one.timings.decode_us, one.timings.infer_us)
    assert (0, 0) == (bad.timings.decode_us, bad.timings.infer_us)
    assert bad.timings.fetch_us >= 0


def test_an_error_of_the_gate_is_an_error_of_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny images go through the gate together: what goes wrong there is said of each of them."""

    def fail(_selector: object, _images: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(InputSelector, "select_each", fail)
    verdicts = judge(Files({b"a": picture(1), b"bad": BAD[ErrorKind.EMPTY], b"b": picture(1)}))

    assert [ErrorKind.INTERNAL, ErrorKind.EMPTY, ErrorKind.INTERNAL] == [
        verdict.error.kind if verdict.error else None for verdict in verdicts
    ]


@pytest.mark.parametrize("what", [picture(1), tagged(1), *BAD.values()], ids=range(11))
def test_no_time_is_negative(what: bytes | Exception) -> None:
    """Timings are never negative, wherever an image fails."""
    (verdict,) = judge(Files({b"it": what}))
    spent = verdict.timings

    assert min(spent.fetch_us, spent.decode_us, spent.infer_us) >= 0


def test_errors_of_a_detector_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of a detector is not taken for an error of its images."""
    net = Grey()

    def fail(_images: object) -> NDArray[np.float64]:
        raise RuntimeError("no memory for tensors")

    score: Callable[..., NDArray[np.float64]] = fail
    monkeypatch.setattr(net, "score", score)
    with pytest.raises(RuntimeError, match="tensors"):
        judge(Files({b"a": picture(1)}), net=net)
