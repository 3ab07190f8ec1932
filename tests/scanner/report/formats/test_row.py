"""One image as one row."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from scanner.report.formats.row import COLUMNS, check_row, row_json
from storage.reads.verdicts import verdict_rows
from storage.records import ErrorKind, ImageError, Outcome, Timings, Verdict

if TYPE_CHECKING:
    from storage.database.store import Store
    from storage.writes.scans import Scan


def test_judged_image(store: Store, scan: Scan) -> None:
    """A judged image has everything known about it."""
    first = next(verdict_rows(store, scan.scan_id))

    assert row_json(first) == {
        "path": "FAKE/tagged.png",
        "verdict": "ai",
        "score": 0.98,
        "detector": "provenance",
        "findings": [
            {
                "detector": "provenance",
                "kind": "generator_tag",
                "score": 0.98,
                "text": "ComfyUI left its mark.",
                "detail": {"generator": "ComfyUI"},
            }
        ],
        "error": None,
        "error_text": None,
        "truth": "ai",
        "host": "pi4",
        "examined": False,
        "digest": "01" * 32,
        "fetch_ms": 1.5,
        "decode_ms": 0.25,
        "infer_ms": 0.0,
        "label": "ai",
        "edited": False,
    }


def test_every_row_has_the_same_columns(store: Store, scan: Scan) -> None:
    """Judged, failed or pending: a row has every column, in one order."""
    rows = [row_json(row) for row in verdict_rows(store, scan.scan_id)]

    assert {tuple(key for key in row if key != "path_b64") for row in rows} == {COLUMNS}
    assert [row["verdict"] for row in rows] == [
        *("ai", "ai", "no_evidence", "unsure"),
        *("no_evidence", "no_evidence", "error", "pending"),
    ]


def test_path_that_is_not_utf8(store: Store, scan: Scan) -> None:
    """A path that is not UTF-8 comes with its bytes."""
    row = row_json(list(verdict_rows(store, scan.scan_id))[5])

    assert row["path"] == r"REAL/large\xff.jpg"
    assert base64.b64decode(row["path_b64"]) == b"REAL/large\xff.jpg"


def test_error_and_pending(store: Store, scan: Scan) -> None:
    """An error has its kind and its text, a pending image neither verdict nor timings."""
    *_, failed, pending = (row_json(row) for row in verdict_rows(store, scan.scan_id))

    assert (failed["error"], failed["error_text"]) == ("truncated", "the file ends early")
    assert (failed["score"], failed["fetch_ms"], failed["decode_ms"]) == (None, 1.5, 0.0)
    assert (pending["error"], pending["fetch_ms"], pending["host"]) == (None, None, None)
    assert (pending["truth"], pending["findings"]) == ("real", [])


def test_single_file() -> None:
    """A file that belongs to no scan has the same row, without host and label."""
    error = ImageError(ErrorKind.EMPTY, "no bytes at all")
    verdict = Verdict(0, Outcome.ERROR, None, None, False, (), error, None, Timings(fetch_us=1234))
    row = check_row(b"/tmp/a.jpg", verdict)

    assert tuple(row) == COLUMNS
    assert json.loads(json.dumps(row)) == row
    assert (row["path"], row["verdict"], row["error"]) == ("/tmp/a.jpg", "error", "empty")
    assert (row["host"], row["truth"], row["fetch_ms"]) == (None, None, 1.234)
