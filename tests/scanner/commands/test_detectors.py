"""`scanner detectors`: the list and the cards, for people and for programs."""

from __future__ import annotations

import json

from click.testing import CliRunner

from scanner.cli import cli
from workers.detectors import installed


def test_the_list_is_what_one_gets_without_asking() -> None:
    """`detectors` and `detectors list` print the same."""
    bare = CliRunner().invoke(cli, ["detectors"])
    asked = CliRunner().invoke(cli, ["detectors", "list"])

    assert 0 == bare.exit_code
    assert "objects-32" in bare.output
    assert "provenance" in bare.output
    assert bare.output == asked.output


def test_the_list_for_programs_holds_every_card() -> None:
    """`--json` prints one object with the cards, before and after the subcommand's name."""
    for arguments in (["--json"], ["list", "--json"]):
        done = CliRunner().invoke(cli, ["detectors", *arguments])

        assert list(installed.NAMES) == [
            one["name"] for one in json.loads(done.stdout)["detectors"]
        ]


def test_a_card_is_shown_with_its_thresholds_and_limits() -> None:
    """A person reads the checksum, the terms of the data and what the detector is bad at."""
    done = CliRunner().invoke(cli, ["detectors", "show", "objects-32"], env={"COLUMNS": "1000"})

    card = installed.installed()["objects-32"]
    assert 0 == done.exit_code
    assert card.sha256 in done.output
    assert f"ai from {card.thresholds.ai:.3f}" in done.output
    assert all(one in done.output for one in card.limits)
    assert card.data[0].terms in done.output


def test_a_card_for_programs_is_one_object() -> None:
    """`show NAME --json` prints the card without the path of its file."""
    done = CliRunner().invoke(cli, ["detectors", "show", "objects-32", "--json"])

    shown = json.loads(done.stdout)
    assert installed.installed()["objects-32"].sha256 == shown["model"]["sha256"]
    assert 32 == shown["input"]["width"]
    assert "path" not in shown


def test_an_unknown_detector_is_a_usage_error() -> None:
    """A name that is not there is answered by those that are, with exit code 2."""
    done = CliRunner().invoke(cli, ["detectors", "show", "nothing"])

    assert 2 == done.exit_code
    assert ", ".join(installed.NAMES) in " ".join(done.output.split())
