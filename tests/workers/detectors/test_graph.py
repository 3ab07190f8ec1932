"""Nets on TensorFlow: what LiteRT says of the same pictures is what they say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from scanner.listing.sample_images import DAWN, DUSK, NIGHT, landscape, shapes
from workers.detectors import detector, graph, installed
from workers.detectors.runtimes import LiteRT, ModelError
from workers.settings import LITERT, TENSORFLOW

MODELS = Path(__file__).parent / "models"
# Of P(AI): what the nets in floats, and one level of 256 of the quantised one, may differ by.
FLOATS_APART = 1e-4
LEVELS_APART = 1


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """Drawn pictures, and noise."""
    pytest.importorskip("tensorflow")
    noise = np.random.default_rng(7).integers(0, 256, (320, 480, 3), np.uint8)
    drawn = [landscape(light, 1) for light in (DAWN, DUSK, NIGHT)]
    return [np.asarray(one) for one in (*drawn, shapes(4), noise)]


@pytest.mark.parametrize("name", ["scenes", "faces", "faces-96"])
def test_scores_of_nets_in_floats(name: str, pictures: list[np.ndarray]) -> None:
    """They agree to four digits."""
    card = installed.installed()[name]
    assert card.input is not None
    side = card.input.height
    given = [picture[:side, :side] for picture in pictures]
    here = detector.load(card, runtime=TENSORFLOW).score(given)

    np.testing.assert_allclose(detector.load(card).score(given), here, rtol=0, atol=FLOATS_APART)


def test_scores_of_the_quantised_net(pictures: list[np.ndarray]) -> None:
    """Its outputs are at most one level of 256 apart."""
    path = installed.installed()["objects-32"].model_path
    given = [picture[y : y + 32, :32] for picture in pictures for y in range(0, 256, 32)]
    session = graph.quantised_graph(path)
    assert session is not None
    here = session.run(given).astype(int)
    there = LiteRT(path)

    assert np.abs(here - there.run(given)).max() <= LEVELS_APART
    np.testing.assert_array_equal(there.levels(), session.levels())
    assert there.shape == session.shape
    # And they are not all the same, which would agree, too.
    assert len(set(here.tolist())) > 5


def test_an_operation_that_is_not_known(
    pictures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The net runs on LiteRT, and the log says so."""
    monkeypatch.delattr(graph.Graph, "_sqrt")
    card = installed.installed()["faces-96"]
    given = [picture[:96, :96] for picture in pictures]
    here = detector.load(card, runtime=TENSORFLOW).score(given)

    assert [
        "faces-96.tflite runs on LiteRT, not on TensorFlow: the operation SQRT is not known here"
    ] == caplog.messages
    np.testing.assert_array_equal(detector.load(card, runtime=LITERT).score(given), here)


def test_a_file_that_is_no_model(pictures: list[np.ndarray], tmp_path: Path) -> None:
    """One sentence."""
    file = tmp_path / "broken.tflite"
    file.write_bytes(b"no model at all, but long enough to be read as one")
    with pytest.raises(ModelError, match=r"broken\.tflite is no net of one input"):
        graph.Graph(file)


def test_its_name(pictures: list[np.ndarray]) -> None:
    """Reports say which TensorFlow it is, and whether it has a GPU."""
    import tensorflow as tf  # noqa: PLC0415 - after the skip

    assert graph.name().startswith(f"TensorFlow {tf.__version__} (")
    assert json.dumps(graph.name())
