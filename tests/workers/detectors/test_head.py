"""The linear head of embeddings, and detectors with one."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from workers.detectors.card import Calibration, Card, CardError, Input, Output, Thresholds, View
from workers.detectors.custom_model import EmbeddingModel
from workers.detectors.head import Head, read_head

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


class ChannelMeans:
    """A stand-in for a model: the embedding of a square is the mean of each channel."""

    height, width, count, raw, last = 2, 2, 3, True, ""

    def __init__(self) -> None:
        self.runs = 0

    def run(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the means."""
        self.runs += 1
        return values.mean(axis=(0, 1)).astype(np.float64)


def card_with(head: object, folder: Path, view: View) -> Card:
    """Return the card of a model with three numbers whose head is in a folder."""
    (folder / "head.json").write_text(json.dumps(head))
    return Card(
        name="mine",
        version="1",
        summary="",
        thresholds=Thresholds(0.5, 0.9),
        limits=(),
        input=Input(2, 2, "RGB", 0, 255, 1, 100),
        output=Output("embedding", 3, 1, head="head.json"),
        view=view,
        calibration=Calibration("none", 1.0, 0.0, 0),
        path=folder / "mine.toml",
    )


def flat(*colour: int) -> NDArray[np.uint8]:
    """Return a square of one colour."""
    return np.full((2, 2, 3), colour, np.uint8)


def test_the_views_of_an_image_are_examined_together(tmp_path: Path) -> None:
    """Each view has weights of its own for the mean over its squares; computed by hand.

    A square that is in two views is examined once.
    """
    head = {"weights": [[1, 0, 0], [0, 2, 0]], "mean": [[10, 0, 0], [0, 5, 0]], "bias": 0.5}
    head["unit_length"] = False
    session = ChannelMeans()
    model = EmbeddingModel(card_with(head, tmp_path, View("crops", reduced_crops=1)), session)
    first, second = flat(10, 0, 0), flat(14, 6, 0)
    logit = (12 - 10) * 1 + (6 - 5) * 2 + 0.5

    assert pytest.approx(1 / (1 + math.exp(-logit))) == model.score_views(
        [[first, second], [second]]
    )
    assert 2 == session.runs


def test_an_embedding_is_scaled_to_unit_length_unless_the_head_says_otherwise(
    tmp_path: Path,
) -> None:
    """So heads of models of texts and images work as their authors publish them."""
    model = EmbeddingModel(
        card_with({"weights": [1, 0, 0], "bias": 0}, tmp_path, View()), ChannelMeans()
    )

    assert pytest.approx([1 / (1 + math.exp(-0.6))]) == model.score([flat(60, 80, 0)])


def test_a_head_is_read_back_as_written(tmp_path: Path) -> None:
    """Numbers keep their digits, and what is missing stays missing."""
    weights = np.array([[0.125, -3.0e-7, 2.0], [1.0, 0.0, 1234.5]])
    card = card_with({}, tmp_path, View("crops", overview=True))
    for precision in (None, weights**2):
        Head(weights, -1.5, weights + 1, precision, unit_length=False).write(tmp_path / "head.json")
        head = read_head(card)

        assert (-1.5, False) == (head.bias, head.unit_length)
        assert (weights == head.weights).all()
        assert pytest.approx(weights + 1) == head.mean
        assert (precision is None) is (head.precision is None)


@pytest.mark.parametrize(
    "head",
    [
        {"weights": [1, 2], "bias": 0},
        {"weights": [1, 2, math.nan], "bias": 0},
        {"weights": [1, 2, 3]},
        {"weights": "no", "bias": 0},
        {"weights": [1, 2, 3], "bias": 0, "mean": [1]},
    ],
)
def test_a_head_that_does_not_fit_is_refused(head: object, tmp_path: Path) -> None:
    """A head of another model, or a damaged one."""
    with pytest.raises(CardError):
        read_head(card_with(head, tmp_path, View()))
