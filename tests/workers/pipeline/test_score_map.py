"""Maps of a score over an image."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from workers.detectors.card import Calibration, Card, Input, Output, Thresholds, View
from workers.detectors.custom_model import EmbeddingModel
from workers.images.decode import Decoded, Header
from workers.pipeline.inputs import crop_views
from workers.pipeline.score_map import MAX_SQUARES, grid, squares_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

WANTED = Input(32, 32, "RGB", 0, 255, 32, 100_000)
SIDES = st.integers(32, 9_000)


@given(SIDES, SIDES)
@example(32, 2081)
@example(2081, 32)
def test_squares_lie_in_the_image_and_colour_what_they_saw(width: int, height: int) -> None:
    """There are at most 64; no two colour the same pixels; together they cover a small image."""
    squares = grid((width, height), WANTED)
    coloured = 0.0
    for (left, top), box in squares:
        assert 0 <= left <= box[0] < box[2] <= left + 32 <= width
        assert 0 <= top <= box[1] < box[3] <= top + 32 <= height
        coloured += (box[2] - box[0]) * (box[3] - box[1])

    assert len(squares) <= MAX_SQUARES
    assert coloured <= width * height * (1 + 1e-9)
    if -(-width // 32) * -(-height // 32) <= MAX_SQUARES:
        assert pytest.approx(width * height) == coloured


@pytest.mark.parametrize(
    ("size", "counts"),
    [((32, 32), (1, 1)), ((33, 64), (2, 2)), ((4000, 3000), (9, 7)), ((9000, 40), (64, 1))],
)
def test_squares_are_as_close_across_as_down(
    size: tuple[int, int], counts: tuple[int, int]
) -> None:
    """A large image has them evenly over all of it."""
    squares = grid(size, WANTED)
    columns = len({left for (left, _), _ in squares})

    assert counts == (columns, len(squares) // columns)


class ChannelMeans:
    """A stand-in for a model: the embedding of a square is the mean of each channel."""

    height, width, count, raw, last = 32, 32, 3, True, ""

    def __init__(self) -> None:
        self.runs = 0

    def run(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the means."""
        self.runs += 1
        return values.mean(axis=(0, 1)).astype(np.float64)


def embedding_model(folder: Path, view: View) -> EmbeddingModel:
    """Return a detector by the mean red of the crops, and by the mean green of further views."""
    weights = [[0.01, 0, 0]] + [[0, 0.01, 0]] * (view.count - 1)
    head = {"weights": weights, "bias": -1, "unit_length": False}
    (folder / "head.json").write_text(json.dumps(head))
    card = Card(
        name="mine", version="1", summary="", thresholds=Thresholds(0.5, 0.9), limits=(),
        input=WANTED, output=Output("embedding", 3, 1, head="head.json"), view=view,
        calibration=Calibration("none", 1.0, 0.0, 0), path=folder / "mine.toml",
    )  # fmt: skip
    return EmbeddingModel(card, ChannelMeans())


def decoded(width: int, height: int) -> Decoded:
    """Return an image whose right half is red, on green that is the stronger the further down."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, width // 2 :, 0] = 200
    pixels[..., 1] = np.linspace(0, 250, height, dtype=np.uint8)[:, np.newaxis]
    return Decoded(Header("PNG", width, height), pixels, Image.fromarray(pixels))


def logit(score: float) -> float:
    """Return the logit of a probability."""
    return float(np.log(score / (1 - score)))


@pytest.mark.parametrize("view", [View("crops", crops=5), View("crops", crops=5, overview=True)])
def test_a_square_stands_for_the_crops(tmp_path: Path, view: View) -> None:
    """Its score is the image's with all crops like it; the whole image counts as before."""
    model, image = embedding_model(tmp_path, view), decoded(128, 64)
    views = crop_views(image, Image.fromarray(image.pixels), view, WANTED)
    scores = [square.score for square in squares_of(image, WANTED, model)]
    whole = model.embedding(views)[1:, 1].sum() * 0.01
    expected = np.array([0, 0, 2, 2] * 2) - 1 + whole

    assert pytest.approx(expected) == [logit(score) for score in scores]


def test_a_small_image_has_the_square_in_each_view_of_its_crops(tmp_path: Path) -> None:
    """An image of less than a megapixel shows its crops again where larger ones are reduced."""
    model = embedding_model(tmp_path, View("crops", crops=5, reduced_crops=5))
    image = decoded(64, 32)
    left, right = squares_of(image, WANTED, model)
    green = image.pixels[..., 1].mean() * 0.01

    assert pytest.approx([green - 1, 2 + green - 1]) == [logit(left.score), logit(right.score)]


class Redness:
    """A detector without an embedding: P(AI) of a square is its mean red."""

    def __init__(self, card: Card) -> None:
        self.card = card

    def score(self, images: list[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Return the mean red of each."""
        return np.array([image[..., 0].mean() / 255 for image in images])


def test_a_detector_without_an_embedding_scores_each_square_alone(tmp_path: Path) -> None:
    """The score of crops is the mean of their logits, so that of equal crops is one's."""
    card = embedding_model(tmp_path, View("crops", crops=5)).card
    image = decoded(64, 32)
    squares = squares_of(image, WANTED, Redness(card))

    assert [(0, 0, 32, 32), (32, 0, 64, 32)] == [square.box for square in squares]
    assert pytest.approx([0, 200 / 255]) == [square.score for square in squares]
    without = Decoded(image.header, image.pixels)
    assert [] == squares_of(without, WANTED, Redness(card))
