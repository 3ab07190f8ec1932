"""The linear head of a detector whose model returns embeddings, in a JSON file beside it.

The keys of the file are the fields of `Head`; `mean`, `precision` and `unit_length` may be missing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workers.detectors.card import CardError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from workers.detectors.card import Card

# Digits of a number in the file: a logit is a sum of thousands of products, and needs no more.
DIGITS = 7
# The length of an embedding that is taken for a shorter one.
_SHORTEST = 1e-12


@dataclass(frozen=True, slots=True)
class Head:
    """One linear layer: the logit of an embedding is (embedding - mean) @ weights + bias.

    `weights` and `mean` are (views, numbers), as an embedding is. With `unit_length` an embedding
    is scaled to length 1 first, as models of text and images expect. `precision`, of the same
    shape, is the diagonal of the Hessian of the training loss by the weights, with its penalty:
    how firmly the training images hold each weight.
    """

    weights: NDArray[np.float64]
    bias: float
    mean: NDArray[np.float64]
    precision: NDArray[np.float64] | None = None
    unit_length: bool = True

    def logit(self, embedding: NDArray[np.float64]) -> float:
        """Return the logit of P(AI) of an embedding, (views, numbers)."""
        return float(np.sum(self.centred(embedding) * self.weights) + self.bias)

    def centred(self, embedding: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the weights are multiplied by."""
        if self.unit_length:
            embedding = embedding / max(float(np.linalg.norm(embedding)), _SHORTEST)
        return embedding - self.mean

    def write(self, path: Path) -> None:
        """Write the head as JSON."""
        arrays = {"weights": self.weights, "mean": self.mean, "precision": self.precision}
        body: dict[str, object] = {
            name: [[float(f"{number:.{DIGITS}g}") for number in row] for row in array.tolist()]
            for name, array in arrays.items()
            if array is not None
        }
        body |= {"bias": self.bias, "unit_length": self.unit_length}
        path.write_text(json.dumps(body, separators=(",", ":")) + "\n", encoding="utf-8")


def read_head(card: Card) -> Head:
    """Return the head of a card; CardError where it is missing, or fits another model."""
    if card.output is None:
        raise CardError(f"the card of {card.name} has no output")
    shape = (card.view.count, card.output.count)
    name = card.output.head
    try:
        body = json.loads(card.path.with_name(name).read_bytes())
        weights = np.array(body["weights"], np.float64)
        if weights.size != shape[0] * shape[1] or not np.isfinite(weights).all():
            raise CardError(
                f"the head {name} does not fit the {shape[1]} numbers of its model"
                + (f" for each of {shape[0]} views" if shape[0] > 1 else "")
            )
        precision = body.get("precision")
        return Head(
            weights=weights.reshape(shape),
            bias=float(body["bias"]),
            mean=np.array(body.get("mean", np.zeros(shape)), np.float64).reshape(shape),
            precision=None if precision is None else np.array(precision, float).reshape(shape),
            unit_length=bool(body.get("unit_length", True)),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CardError(f"invalid head of {card.name} {name}: {error!r}") from error
