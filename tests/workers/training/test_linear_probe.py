"""Fitting a linear probe to embeddings."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

if sys.version_info >= (3, 14):
    pytest.skip("TensorFlow has no release for this Python", allow_module_level=True)
linear_probe = pytest.importorskip("workers.training.linear_probe")

from workers.training.embeddings import Embeddings  # noqa: E402
from workers.training.recipes.probes import SCENES  # noqa: E402

OWNERS, OF_EACH, VIEWS, NUMBERS = 20, 12, 2, 5


def embeddings() -> Embeddings:
    """Return embeddings whose second view's first number tells the classes apart, with noise."""
    draw = np.random.default_rng(1)
    owners = np.repeat(np.arange(OWNERS), OF_EACH)
    labels = (owners % 2).astype(np.uint8)
    values = draw.normal(3.0, 2.0, (len(owners), 2, VIEWS, NUMBERS))
    values[:, :, 1, 0] += 6 * labels[:, None]
    names = np.array([f"owner-{owner}" for owner in owners])
    return Embeddings(values.astype(np.float16), labels, names, names)


def test_the_head_finds_what_tells_the_classes_apart() -> None:
    """Its weights are for embeddings as they are, whatever their mean and spread."""
    made = embeddings()
    # So few images need less of a penalty: the better of two strengths is chosen.
    probe = replace(SCENES, strengths=(1e-4, 1.0))
    fitted = linear_probe.fit(probe, 1, made, lambda _: None)
    logits = np.array([fitted.head.logit(each[0].astype(np.float64)) for each in made.values])

    assert (VIEWS, NUMBERS) == fitted.head.weights.shape
    assert (1, 0) == np.unravel_index(np.abs(fitted.head.weights).argmax(), (VIEWS, NUMBERS))
    assert 0.9 < np.mean((logits > 0) == (made.labels == 1))
    assert 0.8 < np.mean((fitted.held_out_logits > 0) == (made.labels == 1))


def test_the_precision_is_the_curvature_of_the_loss() -> None:
    """It grows with what the images say of a weight, and is that of the penalty at least."""
    made = embeddings()
    wide = made.values.copy()
    wide[..., 0, 0] = (wide[..., 0, 0] - 3) * 10
    one, other = (
        linear_probe.fit(
            SCENES, 1, Embeddings(values, made.labels, made.sources, made.owners), lambda _: None
        ).head.precision
        for values in (made.values, wide)
    )

    assert pytest.approx(100, rel=0.05) == other[0, 0] / one[0, 0]
    assert pytest.approx(1, rel=0.05) == other[0, 1] / one[0, 1]
    assert (one > 0).all()


def test_owners_and_classes_weigh_alike() -> None:
    """An owner of four times as many images weighs twice as much, each class half of all."""
    owners = np.array(["a"] * 4 + ["b"] * 16 + ["c"] * 5)
    labels = np.array([0] * 20 + [1] * 5, np.uint8)
    values = np.zeros((25, 1, 1, 1), np.float16)
    weights = linear_probe.weights_of(Embeddings(values, labels, owners, owners))

    assert pytest.approx(2) == weights[owners == "b"].sum() / weights[owners == "a"].sum()
    assert pytest.approx(12.5) == weights[labels == 1].sum()
    assert pytest.approx(25) == weights.sum()
