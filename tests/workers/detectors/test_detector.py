"""Detectors: scores are calibrated, independent of the batch, and as accurate as on the card."""

from __future__ import annotations

import hashlib
import io
import math
import shutil
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from workers.detectors import installed
from workers.detectors.card import Card, CardError
from workers.detectors.loading import load

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from workers.detectors.detector import Detector


@pytest.fixture(scope="module")
def objects() -> Detector:
    """Load the built-in detector of tiny images."""
    return load(installed.installed()["objects-32"])


@pytest.fixture(scope="module")
def noise() -> NDArray[np.uint8]:
    """Return 40 images with different amounts of noise, so that scores differ."""
    draw = np.random.default_rng(7)
    strength = np.linspace(0, 1, 40)[:, None, None, None]
    pixels = 128 + strength * draw.integers(-128, 128, (40, 32, 32, 3))
    return pixels.astype(np.uint8)


def elsewhere(card: Card, folder: Path) -> Card:
    """Copy the card and its model to a writable folder."""
    shutil.copy(card.model_path, folder)
    return replace(card, path=folder / card.path.name)


def test_scores_are_the_calibrated_logits_of_the_model(
    objects: Detector, noise: NDArray[np.uint8]
) -> None:
    """A score is 1 / (1 + exp(-(slope * logit + intercept))) of the model's logit."""
    calibration = objects.card.calibration
    assert calibration is not None
    interpreter = Interpreter(model_path=str(objects.card.model_path), num_threads=1)
    interpreter.allocate_tensors()
    output = interpreter.get_output_details()[0]
    scale, zero = output["quantization"]
    expected = []
    for image in noise:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
        interpreter.invoke()
        logit = (int(interpreter.get_tensor(output["index"]).item()) - zero) * float(scale)
        expected.append(1 / (1 + math.exp(-(calibration.slope * logit + calibration.intercept))))

    assert len(set(expected)) > 1
    assert pytest.approx(expected, abs=1e-12) == objects.score(list(noise)).tolist()


def test_a_score_does_not_depend_on_the_batch(objects: Detector, noise: NDArray[np.uint8]) -> None:
    """An image scores the same alone, among others and in any order."""
    together = objects.score(list(noise))

    assert together.tolist() == [objects.score([image])[0] for image in noise]
    assert together[::-1].tolist() == objects.score(list(noise[::-1])).tolist()


def test_a_view_scores_as_its_copy(objects: Detector, noise: NDArray[np.uint8]) -> None:
    """Pixels that are not contiguous in memory are read correctly."""
    mirrored = [image[:, ::-1] for image in noise]

    assert (
        objects.score([np.ascontiguousarray(image) for image in mirrored]).tolist()
        == objects.score(mirrored).tolist()
    )


def test_threads_change_nothing(objects: Detector, noise: NDArray[np.uint8]) -> None:
    """Two threads give the same scores as one."""
    two = load(objects.card, threads=2)

    assert objects.score(list(noise)).tolist() == two.score(list(noise)).tolist()


def test_no_images_no_scores(objects: Detector) -> None:
    """An empty list gives an empty array."""
    assert (0,) == objects.score([]).shape


@pytest.mark.parametrize("shape", [(32, 31, 3), (32, 32), (32, 32, 4), (1, 32, 32, 3)])
def test_another_shape_is_refused(objects: Detector, shape: tuple[int, ...]) -> None:
    """An image of another size than the input is never scored."""
    with pytest.raises(ValueError, match="objects-32 takes"):
        objects.score([np.zeros(shape, np.uint8)])


def test_a_changed_model_is_not_loaded(tmp_path: Path) -> None:
    """A model with one changed byte is refused."""
    card = elsewhere(installed.installed()["objects-32"], tmp_path)
    body = bytearray(card.model_path.read_bytes())
    body[len(body) // 2] ^= 1
    card.model_path.write_bytes(body)

    with pytest.raises(CardError, match="is not the model that its card describes"):
        load(card)


def test_a_file_that_is_not_a_model_is_refused(tmp_path: Path) -> None:
    """A file that LiteRT cannot run is refused even with the right checksum."""
    card = elsewhere(installed.installed()["objects-32"], tmp_path)
    card.model_path.write_bytes(b"no model")
    assert card.model is not None
    card = replace(card, model=replace(card.model, sha256=hashlib.sha256(b"no model").hexdigest()))

    with pytest.raises(CardError, match="cannot be run by LiteRT"):
        load(card)


def test_a_model_of_another_size_is_not_loaded() -> None:
    """A card with another input size than its model is refused."""
    card = installed.installed()["objects-32"]
    assert card.input is not None

    with pytest.raises(CardError, match="its card says"):
        load(replace(card, input=replace(card.input, width=64)))


def test_a_detector_without_a_model_cannot_be_loaded() -> None:
    """Provenance examines no pixels."""
    with pytest.raises(CardError, match="provenance has no model"):
        load(installed.installed()["provenance"])


def test_loading_leaves_stderr_clean(capfd: pytest.CaptureFixture[str]) -> None:
    """The runtime's messages do not reach the terminal."""
    load(installed.installed()["objects-32"])

    assert "" == capfd.readouterr().err


def test_objects_32_has_the_accuracy_on_its_card(objects: Detector, test_data: Path) -> None:
    """On the test set it is right as often as its card says, but for what the gate keeps out."""
    images, labels = [], []
    with zipfile.ZipFile(test_data / "cifake-test.zip") as archive:
        for name in archive.namelist():
            if name.endswith(".jpg"):
                with Image.open(io.BytesIO(archive.read(name))) as picture:
                    images.append(np.asarray(picture.convert("RGB")))
                labels.append("FAKE" in name.split("/"))
    called = objects.score(images) >= 0.5
    right = np.sum(called == np.array(labels))
    measured = objects.card.measured

    assert 10_000 == len(images)
    assert measured is not None
    assert 9_700 <= right
    assert 0 <= right - round(measured.accuracy * measured.images) <= measured.without_view
