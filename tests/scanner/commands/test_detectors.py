"""`scanner detectors`: the list and the cards, as text and as JSON."""

from __future__ import annotations

import json

from click.testing import CliRunner

from scanner.cli import cli
from workers.detectors import installed


def test_list_is_the_default() -> None:
    """`detectors` and `detectors list` print the same."""
    bare = CliRunner().invoke(cli, ["detectors"])
    listed = CliRunner().invoke(cli, ["detectors", "list"])

    assert 0 == bare.exit_code
    assert "objects-32" in bare.output
    assert "provenance" in bare.output
    assert bare.output == listed.output


def test_list_as_json() -> None:
    """`--json` prints one object with the cards, before and after the subcommand's name."""
    for arguments in (["--json"], ["list", "--json"]):
        done = CliRunner().invoke(cli, ["detectors", *arguments])

        assert list(installed.NAMES) == [
            card["name"] for card in json.loads(done.stdout)["detectors"]
        ]


def test_card_as_text() -> None:
    """A card shows the checksum, the thresholds, the terms of the data and the limits."""
    done = CliRunner().invoke(cli, ["detectors", "show", "objects-32"], env={"COLUMNS": "1000"})

    card = installed.installed()["objects-32"]
    assert 0 == done.exit_code
    assert card.sha256 in done.output
    assert f"ai from {card.thresholds.ai:.3f}" in done.output
    assert all(limit in done.output for limit in card.limits)
    assert card.data[0].terms in done.output


def test_card_as_json() -> None:
    """`show NAME --json` prints the card without the path of its file."""
    done = CliRunner().invoke(cli, ["detectors", "show", "objects-32", "--json"])

    shown = json.loads(done.stdout)
    assert installed.installed()["objects-32"].sha256 == shown["model"]["sha256"]
    assert 32 == shown["input"]["width"]
    assert "path" not in shown


def test_unknown_detector() -> None:
    """An unknown name is wrong usage, and the known ones are listed."""
    done = CliRunner().invoke(cli, ["detectors", "show", "nothing"])

    assert 2 == done.exit_code
    assert ", ".join(installed.NAMES) in " ".join(done.output.split())
