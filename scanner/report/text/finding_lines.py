"""The most certain findings on a terminal: verdict, score, path and reason, in its width."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from scanner.report.figures.certainty import shown_score
from scanner.report.text import labels
from scanner.report.text.why import short_reason
from storage.asset_paths import shown_image

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from storage.reads.verdicts import VerdictRow
    from storage.records import Thresholds

# Columns of verdict and score, with the gaps after them; and of any gap.
BEFORE_PATH, GAP = 21, 2
# The most that is left to a reason beside a path that is cut for it, and the least to that path.
LONGEST_REASON, SHORTEST_PATH = 28, 24
# The least of a folder that is worth its place, with a slash.
SHORTEST_FOLDER = 6


def finding_lines(
    findings: Sequence[VerdictRow],
    thresholds: Mapping[str, Thresholds],
    columns: int | None,
    lines: int,
) -> list[Text]:
    """Return a line per finding, cut to so many columns; None, as for a pipe, cuts nothing.

    A reason that has no room beside its path gets a line of its own if there are enough `lines`.
    """
    judged = [(row.path, row.verdict) for row in findings if row.verdict is not None]
    reasons = [short_reason(verdict, thresholds) for _, verdict in judged]
    paths = [shown_image(path) for path, _ in judged]
    path_columns, reason_columns = _rooms(_widest(paths), _widest(reasons), columns)
    paths = [cut_path(path, path_columns) for path in paths]
    column = _widest(paths)
    has_lines = lines >= 2 * len(judged)
    shown = []
    for (_, verdict), path, reason in zip(judged, paths, reasons, strict=True):
        name = labels.VERDICTS[verdict.outcome][0]
        score = labels.score(shown_score(verdict, thresholds))
        line = f"{name:<12}  {score:>5}  {set_cell_size(path, column)}"
        if reason_columns:
            shown.append(f"{line}  {_cut_end(reason, reason_columns)}".rstrip())
            continue
        shown.append(line.rstrip())
        if has_lines and columns is not None and reason:
            shown.append(f"  {_cut_end(reason, columns - GAP)}")
    return [Text(line, no_wrap=True, overflow="ignore") for line in shown]


def _rooms(path: int, reason: int, columns: int | None) -> tuple[int, int]:
    """Return the columns of paths and reasons, 0 for reasons that have no room beside a path."""
    if columns is None or BEFORE_PATH + path + GAP + reason <= columns:
        return path, reason
    room = columns - BEFORE_PATH
    beside = min(reason, max(LONGEST_REASON, room - GAP - path))
    if room - GAP - beside >= min(path, SHORTEST_PATH):
        return room - GAP - beside, beside
    return max(1, room), 0


def _widest(texts: Sequence[str]) -> int:
    return max(map(cell_len, texts), default=0)


def cut_path(path: str, columns: int) -> str:
    """Return a path in so many columns: its folder is cut first, then the middle of its name."""
    if cell_len(path) <= columns:
        return path
    folder, slash, name = path.rpartition("/")
    left = columns - cell_len(name) - len(slash)
    if left >= SHORTEST_FOLDER:
        return f"{_cut_middle(folder, left)}/{name}"
    return f"…/{name}" if slash and left >= 1 else _cut_middle(name, columns)


def _cut_middle(text: str, columns: int) -> str:
    if cell_len(text) <= columns:
        return text
    start = (columns - 1) // 2
    end = _cut(text[::-1], columns - 1 - start)[::-1]
    return f"{_cut(text, start)}…{end}"


def _cut_end(text: str, columns: int) -> str:
    return text if cell_len(text) <= columns else f"{_cut(text, columns - 1).rstrip(' ,')}…"


def _cut(text: str, columns: int) -> str:
    """Return the beginning of a text, in so many columns at most."""
    # Half of a wide character would become a space.
    end = len(text)
    while cell_len(text[:end]) > columns:
        end -= 1
    return text[:end]
