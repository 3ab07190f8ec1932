"""CSV that every reader divides into the same cells, and that does not move a terminal's cursor."""

from __future__ import annotations

import io

import pytest
from pyarrow import csv

from scanner.report.formats.csv_lines import csv_line
from scanner.report.formats.stream import CSV_COLUMNS, write_csv, write_table

HOSTILE = [
    "\rai,0.99",
    "a\rb",
    "a\nb",
    "a\r\nb",
    'a"b',
    '"',
    "a,b",
    " a ",
    "a;b",
    "\u2028",
    "\x1b[2J",
    "=1+1",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_stays_a_cell(text: str) -> None:
    """Another library reads the cells that were written, whatever is in them."""
    data = csv_line(["path", "verdict"]) + csv_line([text, "unsure"]) + csv_line(["x", None])
    table = csv.read_csv(
        io.BytesIO(data.encode()),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(column_types={"path": "string", "verdict": "string"}),
    )

    assert [text, "x"] == table["path"].to_pylist()
    assert ["unsure", ""] == table["verdict"].to_pylist()


def test_plain_cells_are_not_quoted() -> None:
    """Numbers, words and nothing are as they are."""
    assert "a b,1.5,,no_evidence\n" == csv_line(["a b", 1.5, None, "no_evidence"])


class Terminal(io.BytesIO):
    """What a terminal receives."""

    def isatty(self) -> bool:
        """Say that this is a terminal."""
        return True


def _row(**values: object) -> dict[str, object]:
    return dict.fromkeys(CSV_COLUMNS) | {"verdict": "error", "findings": []} | values


def test_terminal_gets_no_control_characters() -> None:
    """In a terminal, names, detectors and texts are escaped; in a file they are exact."""
    row = _row(path="\r\x1b]0;x\x07", detector="\x1b[2J", error_text="\x9b31m", score=None)
    terminal, file = Terminal(), io.BytesIO()
    write_csv([row], terminal)
    write_csv([row], file)
    write_table([row], table := Terminal())

    for shown in (terminal.getvalue().decode(), table.getvalue().decode()):
        assert shown.replace("\n", "").isprintable()
        assert 2 == shown.count("\n")
    assert "\x1b]0;x\x07" in file.getvalue().decode()


def test_names_that_look_like_formulas() -> None:
    """A path that would be a formula still names the same file, and base64 stays exact."""
    rows = [_row(path="=1+1.jpg", error_text="@x"), _row(path="?", path_b64="+/8=")]
    write_csv(rows, out := io.BytesIO())
    table = csv.read_csv(io.BytesIO(out.getvalue()))

    assert ["./=1+1.jpg", "?"] == table["path"].to_pylist()
    assert ["'@x", ""] == table["error_text"].to_pylist()
    assert ["", "+/8="] == table["path_b64"].to_pylist()
