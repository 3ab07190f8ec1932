"""A report as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scanner.report.figures.build import build
from scanner.report.formats.json import to_json
from scanner.report.formats.row import row_json
from storage.reads.verdicts import verdict_rows
from storage.records import Plan
from storage.writes import scans

if TYPE_CHECKING:
    from scanner.report.figures.build import Report
    from storage.database.store import Store
    from storage.writes.scans import Scan


def test_documented_keys(report: Report) -> None:
    """Every documented key is there, with figures computed by hand."""
    body = to_json(report)
    (host,) = body["hosts"]

    assert body["scan"] == 1
    assert body["collection"] == "photos"
    assert body["images"] == 8
    assert body["verdicts"] == {
        "ai": 2,
        "unsure": 1,
        "no_evidence": 3,
        "error": 1,
        "pending": 1,
    }
    assert (body["not_examined"], body["kept"], body["skipped"]) == (1, 0, 7)
    # Seven images from 100.0 to 103.5.
    assert (body["enqueue_seconds"], body["seconds"]) == (0.4, 3.5)
    assert body["images_per_second"] == 2.0
    assert (host["host"], host["arch"], host["images"]) == ("pi4", "aarch64", 7)
    assert host["images_per_second"] == 2.0
    assert host["stages_ms"] == {
        "fetch": {"p50": 1.5, "p95": 1.5},
        "decode": {"p50": 0.25, "p95": 0.25},
        "infer": {"p50": 0.04, "p95": 0.04},
    }
    assert [(one["name"], one["version"], one["images"]) for one in body["detectors"]] == [
        ("provenance", "1", 1),
        ("objects-32", "2", 4),
    ]


def test_evaluation(report: Report) -> None:
    """Figures are of the scored images; a score of 0.5 or more counts as AI."""
    body = to_json(report)
    truth = body["evaluation"]

    assert truth == body["truth"]

    assert (truth["images"], truth["scored"]) == (8, 5)
    # FAKE 0.98, 0.9, 0.2; REAL 0.7, 0.1.
    assert truth["confusion"] == {"tp": 2, "fp": 1, "fn": 1, "tn": 1}
    assert truth["accuracy"] == 0.6
    assert (truth["precision"], truth["recall"], truth["f1"]) == (0.666667, 0.666667, 0.666667)
    # Ranked FAKE, FAKE, REAL, FAKE, REAL: a third each at 1, 1 and 3/4; five of six pairs won.
    assert truth["average_precision"] == 0.916667
    assert truth["roc_auc"] == 0.833333
    # Ranked from below REAL, FAKE, REAL: a half each at 1 and 2/3.
    assert truth["average_precision_real"] == 0.833333
    assert truth["classes"]["REAL"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}
    assert truth["by_verdict"] == {
        "ai": {"ai": 2, "unsure": 0, "no_evidence": 1, "error": 0, "pending": 0},
        "real": {"ai": 0, "unsure": 1, "no_evidence": 2, "error": 1, "pending": 1},
    }


def test_no_evaluation_without_labels(unlabelled: Report) -> None:
    """Where nothing is labelled there is no evaluation."""
    assert not {"evaluation", "truth"} & set(to_json(unlabelled))


def test_counts_by_kind(report: Report) -> None:
    """Evidence, errors and skipped files are listed by kind."""
    body = to_json(report)

    assert body["skipped_by_kind"] == {"raw": 3, "video": 4}
    assert body["unreadable_folders"] == 1
    assert body["state"] == "unfinished"
    # Two seconds of the three and a half were spent at batches.
    assert body["active_seconds"] == 2.0
    assert body["evidence"] == [
        {
            "detector": "provenance",
            "kind": "generator_tag",
            "generator": "ComfyUI",
            "signature": None,
            "images": 1,
        },
        {
            "detector": "router",
            "kind": "no_detector",
            "generator": None,
            "signature": None,
            "images": 1,
        },
    ]
    assert body["errors"] == [
        {
            "kind": "truncated",
            "images": 1,
            "examples": [{"path": "REAL/cut[bold].jpg", "text": "the file ends early"}],
        }
    ]


def test_empty_scan(store: Store) -> None:
    """A scan of an empty folder has counts of zero and no rate, and is valid JSON."""
    collection_id = scans.ensure_collection(store, "empty", b"/empty")
    empty = scans.new_scan(store, collection_id, scans.ensure_plan(store, Plan(())), "fleet")
    body = to_json(build(store, empty))

    assert body["images"] == sum(body["verdicts"].values()) == 0
    assert body["images_per_second"] is None
    assert (body["seconds"], body["hosts"], body["detectors"]) == (0.0, [], [])
    assert json.loads(json.dumps(body, allow_nan=False)) == body


@pytest.mark.parametrize(
    ("ended", "state"),
    [
        ((None, None), "unfinished"),
        ((None, 5.0), "cancelled"),
        ((5.0, None), "finished"),
        ((5.0, 6.0), "finished"),
    ],
)
def test_state(
    report: Report, scan: Scan, ended: tuple[float | None, float | None], state: str
) -> None:
    """A scan is finished, cancelled or neither."""
    scan = replace(scan, finished_at=ended[0], cancelled_at=ended[1])

    assert to_json(replace(report, scan=scan))["state"] == state


def test_json_is_valid(report: Report) -> None:
    """The object is valid JSON, without NaN."""
    body = to_json(report)

    assert json.loads(json.dumps(body, allow_nan=False)) == body


def test_every_key_is_documented(report: Report, store: Store, scan: Scan) -> None:
    """Each key of the report and of a row is documented."""
    page = (Path(__file__).parents[4] / "docs" / "reference" / "json.md").read_text(
        encoding="utf-8"
    )
    body = to_json(report)
    row = row_json(list(verdict_rows(store, scan.scan_id))[5])
    nested = [
        body["evaluation"],
        *body["findings"],
        *body["hosts"],
        *body["detectors"],
        *body["evidence"],
        *body["errors"],
    ]
    keys = {key for one in (body, row, *nested, *row["findings"]) for key in one}

    assert [key for key in sorted(keys) if f"`{key}`" not in page] == []
