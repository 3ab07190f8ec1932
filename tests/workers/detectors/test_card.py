"""Reading cards, and refusing damaged ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from workers.detectors.card import (
    Calibration,
    CardError,
    DataSet,
    Input,
    Model,
    Thresholds,
    load_card,
)

if TYPE_CHECKING:
    from pathlib import Path

# SHA-256 of b"abc", from FIPS 180-2.
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

CARD = f"""
name = "small"
version = "3"
summary = "A net."
limits = ["faces", "snow"]

[thresholds]
unsure = 0.5
ai = 0.9
false_alarm_rate = 0.01
real_images = 200

[model]
file = "small.tflite"
sha256 = "{ABC}"
bytes = 3
parameters = 7
runtime = "LiteRT"

[input]
width = 32
height = 16
channels = "RGB"
lowest = 0
highest = 255
smallest_side = 8
largest_side = 64

[calibration]
method = "platt"
slope = 1.5
intercept = -2
images = 400

[[data]]
name = "A"
use = "training"
real = 10
ai = 20
terms = "CC0"

[[data]]
name = "B"
use = "calibration"
real = 1
ai = 2
terms = "MIT"
"""


@pytest.fixture
def card_file(tmp_path: Path) -> Path:
    """Write a card and its model of three bytes."""
    path = tmp_path / "small.toml"
    path.write_text(CARD)
    path.with_suffix(".tflite").write_bytes(b"abc")
    return path


def changed(path: Path, before: str, after: str) -> Path:
    """Replace text that a card's file has exactly once."""
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, after))
    return path


def test_every_table_becomes_a_record(card_file: Path) -> None:
    """Each table of the file becomes the field of its name."""
    card = load_card(card_file)

    assert ("small", "3", "A net.") == (card.name, card.version, card.summary)
    assert ("faces", "snow") == card.limits
    assert ("real", "ai") == card.classes
    assert Thresholds(0.5, 0.9, 0.01, 200) == card.thresholds
    assert Model("small.tflite", ABC, 3, 7, "LiteRT") == card.model
    assert Input(32, 16, "RGB", 0, 255, 8, 64) == card.input
    assert Calibration("platt", 1.5, -2.0, 400) == card.calibration
    assert (
        DataSet("A", "training", 10, 20, "CC0"),
        DataSet("B", "calibration", 1, 2, "MIT"),
    ) == card.data
    assert card.measured is None


def test_model_is_found_beside_its_card(card_file: Path) -> None:
    """The model's path is in the card's folder."""
    card = load_card(card_file)

    assert card_file.parent / "small.tflite" == card.model_path
    assert ABC == card.sha256


def test_the_right_model_verifies(card_file: Path) -> None:
    """A model with the card's checksum raises nothing."""
    load_card(card_file).verify()


def test_a_changed_model_is_refused(card_file: Path) -> None:
    """One more byte in the model is refused."""
    card = load_card(card_file)
    card_file.with_suffix(".tflite").write_bytes(b"abcd")

    with pytest.raises(CardError, match=r"small\.tflite is not the model that its card describes"):
        card.verify()


def test_a_missing_model_is_refused(card_file: Path) -> None:
    """An error says that the model cannot be read."""
    card = load_card(card_file)
    card_file.with_suffix(".tflite").unlink()

    with pytest.raises(CardError, match="model of small cannot be read"):
        card.verify()


def test_a_card_without_a_model_has_nothing_to_verify(card_file: Path) -> None:
    """A detector without a model has an empty checksum and no model path."""
    head, _, _ = CARD.partition("[model]")
    card_file.write_text(head)
    card = load_card(card_file)

    card.verify()
    assert card.sha256 == ""
    with pytest.raises(CardError, match="small has no model"):
        _ = card.model_path


def test_a_missing_card_is_refused(tmp_path: Path) -> None:
    """A missing file is a CardError."""
    with pytest.raises(CardError, match="cannot be read"):
        load_card(tmp_path / "none.toml")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """A folder in place of the card is a CardError."""
    (tmp_path / "small.toml").mkdir()

    with pytest.raises(CardError, match="cannot be read"):
        load_card(tmp_path / "small.toml")


def test_a_truncated_card_is_refused(card_file: Path) -> None:
    """Half a card is reported as damaged."""
    card_file.write_text(CARD[: CARD.index('"LiteRT"') + 3])

    with pytest.raises(CardError, match="is damaged"):
        load_card(card_file)


def test_a_card_that_is_not_utf8_is_refused(card_file: Path) -> None:
    """Bytes that are not UTF-8 are reported as damage."""
    card_file.write_bytes(b"name = '\xff'")

    with pytest.raises(CardError, match="is damaged"):
        load_card(card_file)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('version = "3"\n', "", "small lacks the entry 'version'"),
        ("unsure = 0.5\n", "", "small.thresholds lacks the entry 'unsure'"),
        (
            "unsure = 0.5",
            "unsure = 0.5\nsure = 1.0",
            "small.thresholds has an unknown entry 'sure'",
        ),
        ("bytes = 3", 'bytes = "3"', "invalid small.model.bytes '3': expected int"),
        ("bytes = 3", "bytes = true", "invalid small.model.bytes True: expected int"),
        ('limits = ["faces", "snow"]', 'limits = "faces"', "small.limits is not a list"),
        (
            'limits = ["faces", "snow"]',
            "limits = [1]",
            r"invalid small.limits\[0\] 1: expected str",
        ),
        ("real = 10", "real = 1.5", r"invalid small.data\[0\].real 1.5: expected int"),
        ("ai = 0.9", "ai = 0.4", "invalid thresholds of small"),
        ("ai = 0.9", "ai = 1.1", "invalid thresholds of small"),
        ("ai = 0.9", "ai = nan", "invalid thresholds of small"),
        ('name = "small"', 'name = "large"', "has the name 'large'"),
        (
            'file = "small.tflite"',
            'file = "../small.tflite"',
            "has to be in the folder of its card",
        ),
    ],
)
def test_errors_of_a_card_name_the_entry(
    card_file: Path, before: str, after: str, said: str
) -> None:
    """Missing, unknown and inconsistent entries are named in the error."""
    changed(card_file, before, after)

    with pytest.raises(CardError, match=said):
        load_card(card_file)


def test_a_model_needs_an_input_and_a_calibration(card_file: Path) -> None:
    """A card with a model but without them is refused."""
    text = CARD[: CARD.index("[calibration]")]
    card_file.write_text(text)

    with pytest.raises(CardError, match="no input or no calibration"):
        load_card(card_file)
