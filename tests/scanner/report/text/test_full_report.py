"""The full report on a terminal."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from scanner.report.text.full_report import print_report
from scanner.report.text.sentences import answer
from storage.reads.evidence import EvidenceCount
from storage.reads.folders import OutcomeCounts
from storage.reads.hosts import HostFigures, Percentiles
from workers.evaluation.metrics import Confusion

if TYPE_CHECKING:
    from scanner.report.figures.build import Report


def printed(report: Report, *, width: int = 80, colour: bool = False) -> str:
    """Return the report as it is printed."""
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=colour, highlight=False)
    print_report(report, console)
    return out.getvalue()


def numbers(text: str, label: str) -> list[str]:
    """Return the figures on the first line with that label."""
    (line, *_) = [line for line in text.splitlines() if line.startswith(label)]
    return line.removeprefix(label).split()


def against_labels(report: Report) -> str:
    """Return the part of the report that compares verdicts with labels."""
    return printed(report).partition("Accuracy on the 5 scored of 8 labelled images")[2]


def test_answer_comes_first(report: Report) -> None:
    """The answer is on the second line."""
    lines = printed(report).splitlines()

    assert lines[0] == "Scan 1 of photos, unfinished"
    assert " ".join(line.strip() for line in lines[1:3]) == (
        "2 of 8 images look AI-generated, 1 is unsure, 1 could not be read, "
        "1 is still to be judged."
    )


@pytest.mark.parametrize(
    ("counted", "expected"),
    [
        ({"images": 1, "ai": 1}, "1 of 1 images looks AI-generated."),
        (
            {"images": 0},
            "Nothing to judge but 3 RAW files, which need --raw.",
        ),
        ({"images": 1500, "no_evidence": 1500}, "0 of 1,500 images look AI-generated."),
    ],
)
def test_answer_is_a_sentence(report: Report, counted: dict[str, int], expected: str) -> None:
    """The answer is grammatical for none, one and many."""
    nothing = dict.fromkeys(("ai", "unsure", "no_evidence", "error", "not_examined", "kept"), 0)
    counts = replace(report.counts, **{**nothing, **counted})

    assert answer(replace(report, counts=counts)) == expected


def test_rows_add_up(report: Report) -> None:
    """Images that were not examined have their own row, and the rows add up."""
    text = printed(report)
    rows = ("AI-generated", "unsure", "no evidence", "not examined", "error", "pending")
    counted = [int(numbers(text, row)[0]) for row in rows]

    assert counted == [2, 1, 2, 1, 1, 1]
    assert numbers(text, "all") == [str(sum(counted))]


def test_which_ones(report: Report) -> None:
    """The last line names the command that lists the flagged images, if there are any."""
    none = replace(report, counts=replace(report.counts, ai=0, unsure=0))

    assert printed(report).endswith(
        "\nWhich ones: `scanner verdicts 1 --where verdict=ai,unsure --format csv`\n"
    )
    assert "Which ones" not in printed(none)


def test_no_image_is_called_real(report: Report) -> None:
    """The report says that no evidence does not mean real, and calls no image authentic."""
    text = " ".join(printed(report).split())

    assert "does not make them real" in text
    assert not re.search(r"authentic|genuine|is real", text, re.IGNORECASE)


def test_classification_table(report: Report) -> None:
    """Precision, recall, F1 and support are in rows, as in the literature."""
    text = against_labels(report)

    assert numbers(text, "FAKE") == ["0.6667", "0.6667", "0.6667", "3"]
    assert numbers(text, "REAL") == ["0.5000", "0.5000", "0.5000", "2"]
    assert numbers(text, "accuracy") == ["0.6000", "5"]
    assert numbers(text, "macro average") == ["0.5833", "0.5833", "0.5833", "5"]
    assert numbers(text, "weighted average") == ["0.6000", "0.6000", "0.6000", "5"]
    assert numbers(text, "average precision") == ["0.9167", "0.8333"]
    assert numbers(text, "ROC AUC") == ["0.8333"]


def test_verdicts_against_labels(report: Report) -> None:
    """The confusion matrix and the table by verdict follow, AI-generated first."""
    rows = [line.split() for line in against_labels(report).splitlines()]
    fake, real = (
        [row[1:] for row in rows if row[:1] == [label] and row[1].isdigit()]
        for label in ("FAKE", "REAL")
    )

    # The confusion matrix, the table by verdict, and the accuracy of the folder of that name.
    assert fake == [
        ["2", "1"],
        ["2", "0", "1", "0", "0"],
        ["3", "0.6667", "0.2077", "0.9385", "1", "0"],
    ]
    assert real == [
        ["1", "1"],
        ["0", "1", "2", "1", "1"],
        ["2", "0.5000", "0.0945", "0.9055", "0", "1"],
    ]
    assert "Of 2 called AI-generated, 0 were not: 0.0 % of the REAL ones." in printed(report)


def test_no_figures_without_labels(unlabelled: Report) -> None:
    """Without labels the report has no accuracy."""
    text = printed(unlabelled)

    assert "precision" not in text
    assert "labels" not in text


def test_names_are_shown_as_text(report: Report) -> None:
    """Markup, control characters and bytes in names are shown as text."""
    text = printed(report)
    hostile = replace(report.scan, collection="[red]x\x1b[2J\u202e")
    titled = printed(replace(report, scan=hostile))

    assert "REAL/cut[bold].jpg" in text
    assert r"[red]x\x1b[2J\u202e" in titled
    assert "\x1b" not in titled


def test_versions_of_a_generator_are_merged(report: Report) -> None:
    """Versions of a generator are counted in one row per kind of evidence."""
    rows = [
        ("c2pa_generated", "Photo_Maker/1.0 c2pa-rs/0.4", "untrusted", 2),
        ("c2pa_generated", "Photo_Maker/1.1", "untrusted", 3),
        ("c2pa_edited", "Photo_Maker/1.1", "untrusted", 4),
    ]
    evidence = tuple(EvidenceCount("provenance", *row) for row in rows)
    text = printed(replace(report, evidence=evidence))

    assert numbers(text, "C2PA: AI-generated") == ["Photo", "Maker", "untrusted", "5"]
    assert numbers(text, "C2PA: edited with AI") == ["Photo", "Maker", "untrusted", "4"]


def test_fits_eighty_columns(report: Report) -> None:
    """Large numbers, long names and many rows fit a terminal of 80 columns."""
    counts = replace(report.counts, images=12_345_678, no_evidence=12_345_672)
    stages = dict.fromkeys(("fetch", "decode", "infer"), Percentiles(123_456, 987_654))
    host = HostFigures("h", "a-machine-with-a-long-name-" * 2, "aarch64", 12_345_678, 9e5, stages)
    evidence = tuple(
        EvidenceCount("provenance", "c2pa_remote", f"Generator {n} " * 6, "untrusted", 12_345_678)
        for n in range(30)
    )
    folders = {
        b"a folder with a name that goes on and on %d" % n: OutcomeCounts(
            12_345_678, 1_234_567, 999_999, 9
        )
        for n in range(20)
    }
    breakdown = replace(
        report.breakdown,
        folders=replace(report.breakdown.folders, by_name=folders),
        months={f"2024-{n:02}": OutcomeCounts(12_345_678, 7) for n in range(1, 13)},
    )
    assert report.evaluation is not None
    confusion = Confusion(12_345_678, 1_234_567, 1_234_567, 12_345_678)
    evaluation = replace(report.evaluation, by_folder=dict.fromkeys(folders, confusion))
    large = replace(report, counts=counts, hosts=(host,), evidence=evidence, breakdown=breakdown)
    text = printed(replace(large, evaluation=evaluation))

    assert max(len(line) for line in text.splitlines()) <= 80
    assert "and 15 more" in text
    # Nothing is cut off: what is too long goes on in the next line.
    assert "12,345,678" in text
    assert "…" not in text


def test_text_is_the_same_with_colour(report: Report) -> None:
    """The text is the same with and without colour."""
    coloured = printed(report, colour=True)

    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == printed(report)


def test_duration_and_skipped_files(report: Report) -> None:
    """The last lines give the duration, kept verdicts and skipped files."""
    counts = replace(report.counts, kept=1)
    text = " ".join(printed(replace(report, counts=counts)).split())

    assert "Judged 6 images in 3.5 s, 2.0 s of it at work: 3.0 images/s." in text
    assert "Listing took 0.4 s." in text
    assert "1 verdict was kept from an earlier scan" in text
    assert "Skipped 7 files and folders: video 4, RAW 3." in text
    assert "1 folder could not be opened" in text


def test_hosts_hardware_and_health(report: Report) -> None:
    """The hardware and the health of each host follow the hosts' figures."""
    (host,) = report.hosts
    info = {"model": "Raspberry Pi 4", "cores": 4, "load": 0.5, "throttled": "0x4"}
    lines = printed(replace(report, hosts=(replace(host, info=info),))).splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("pi4: "))

    assert "pi4: Raspberry Pi 4, 4 cores" == lines[place].rstrip()
    assert "pi4: load 0.50 per core, slowed down: throttled" == lines[place + 1].rstrip()
