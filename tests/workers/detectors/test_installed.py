"""The installed detectors, and the cost of listing them."""

from __future__ import annotations

import subprocess
import sys

from workers.detectors import installed
from workers.provenance.evidence import SCORES


def test_built_in_detectors() -> None:
    """Each card is listed by its name."""
    cards = installed.installed()

    assert sorted(cards) == [
        "context",
        "faces",
        "file_names",
        "marks",
        "objects-32",
        "provenance",
        "scenes",
    ]
    assert all(name == card.name for name, card in cards.items())


def test_every_built_in_model_has_the_checksum_on_its_card() -> None:
    """The models in the package have the checksum and the size on their cards."""
    models = [card for card in installed.installed().values() if card.model is not None]

    assert models
    for card in models:
        card.verify()
        assert card.model is not None
        assert card.model.bytes == card.model_path.stat().st_size


def test_callers_get_their_own_dictionary() -> None:
    """Changes to the returned dictionary do not affect other callers."""
    installed.installed().clear()

    assert installed.installed()


def test_reading_cards_loads_no_runtime() -> None:
    """Neither NumPy nor LiteRT is imported before a model is loaded."""
    code = (
        "import sys; from workers.detectors import installed, loading; installed.installed();"
        "print(sorted({'numpy', 'ai_edge_litert', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_the_card_of_objects_32_has_figures() -> None:
    """Its card has figures, terms and limits, and the interval contains the accuracy."""
    card = installed.installed()["objects-32"]

    assert card.measured is not None
    assert 10_000 == card.measured.images + card.measured.without_view
    assert card.measured.accuracy_low < card.measured.accuracy < card.measured.accuracy_high
    assert (45_000, 43_702) == (card.data[0].real, card.data[0].ai)
    assert all(
        "MIT" in one.terms and "CIFAR-10" in one.terms for one in card.data if one.name == "CIFAKE"
    )
    assert card.limits


def test_objects_32_has_few_false_positives() -> None:
    """At most 1 % of the held-out real images reach its threshold `ai`."""
    at = installed.installed()["objects-32"].thresholds

    assert at.false_alarm_rate is not None
    assert at.false_alarm_rate <= 0.01
    assert 0.5 <= at.unsure < at.ai


def test_the_card_of_provenance_states_the_scores_that_provenance_gives() -> None:
    """The scores in the card's text are those of the code."""
    card = installed.installed()["provenance"]

    assert {str(kind): score for kind, score in SCORES.items()} == {
        one.kind: one.score for one in card.evidence
    }
    assert "" == card.sha256
