"""The short report on a terminal."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len
from rich.console import Console

from scanner.report.figures.build import build
from scanner.report.figures.estimate import Rates, corrected_share
from scanner.report.figures.recall import Recall
from scanner.report.formats.html import report_html
from scanner.report.text.summary import MAX_LINES, notes, print_summary
from storage.reads.coverage import Scored
from storage.reads.evidence import ErrorCount
from storage.records import ErrorKind, Finding, Outcome, Plan
from storage.writes import scans
from storage.writes.samples import SampleOutcome
from workers.evaluation.intervals import Share

if TYPE_CHECKING:
    from scanner.report.figures.build import Report
    from storage.database.store import Store


def printed(report: Report, width: int = 80, columns: int | None = 80) -> list[str]:
    """Return the lines of the report as it is printed, those with paths in so many columns."""
    out = io.StringIO()
    print_summary(report, Console(file=out, width=width, highlight=False), columns)
    return out.getvalue().splitlines()


def busy(report: Report) -> Report:
    """Return a report with long content in each of its parts."""
    (named, *_) = report.findings
    assert named.verdict is not None
    verdict = replace(named.verdict, findings=(Finding("provenance", "x" * 50, 0.98),))
    path = b"a folder/" * 20 + b"name.png"
    rates = Rates((Share(90, 100),) * 9, (Share(10, 100),) * 9)
    scored = Scored(("objects-32",), 12_345_678, 2_345_678)
    return replace(
        report,
        counts=replace(report.counts, images=12_345_678, ai=123_456, not_examined=99_999, kept=7),
        findings=(replace(named, path=path, verdict=verdict),) * 10,
        errors=tuple(ErrorCount(kind, 12_345, ((path, "a text"),)) for kind in ErrorKind),
        settled_errors=tuple(ErrorCount(kind, 12_345, ((path, "b"),)) for kind in ErrorKind),
        corrected=corrected_share([scored], lambda _: rates),
        recall=Recall(0.5, 0.01, 0.99, 30, counts_unsure=True),
        sample=SampleOutcome(1, 1, 7, 10_000_000, 1_000, 300, 400, 50),
        scan=replace(report.scan, skipped={f"kind {n}": 10**n for n in range(9)}),
        edited={Outcome.AI: 1_234_567, Outcome.UNSURE: 1_234_567},
    )


@pytest.mark.parametrize("labelled", [True, False])
def test_at_most_25_lines(report: Report, unlabelled: Report, labelled: bool) -> None:  # noqa: FBT001
    """Whatever a scan has found, its summary has at most 25 lines of 80 columns."""
    lines = printed(busy(report if labelled else unlabelled))

    assert len(lines) <= MAX_LINES == 25
    assert any(line.startswith("Could not be read: ") for line in lines)
    assert any(line.startswith("Skipped 111,111,111 files") for line in lines)
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("Most certain (") for line in lines)


def test_edited_versions_have_a_line(report: Report) -> None:
    """Edited versions are counted, with what was found in them; without any, there is no line."""
    edited = {Outcome.AI: 2, Outcome.NO_EVIDENCE: 9, None: 1}
    told = [note.plain for note in notes(replace(report, edited=edited)) if "edited" in note.plain]

    assert ["12 images are edited versions of others: 2 AI-generated, 0 unsure."] == told
    assert not any("edited" in note.plain for note in notes(report))


def test_answer_is_in_the_first_lines(report: Report) -> None:
    """The result of the scan follows its title."""
    title, *text = printed(report)

    assert title == "Scan 1 of photos, unfinished"
    assert " ".join(text).startswith(
        "2 of 8 images look AI-generated, 1 is unsure, 1 could not be read, 1 is still to be "
        "judged."
    )


def test_findings_have_names_and_reasons(report: Report) -> None:
    """Flagged images are named, `ai` before `unsure`, the highest score first, with the reason."""
    lines = printed(report)
    start = lines.index("Most certain") + 1

    assert [line.split() for line in lines[start : start + 3]] == [
        ["AI-generated", "0.980", "FAKE/tagged.png", "tag", "of", "ComfyUI"],
        ["AI-generated", "0.900", "FAKE/seen.jpg", *["objects-32,", "AI", "from", "0.870"]],
        ["unsure", "0.700", "REAL/accused.jpg", *["objects-32,", "unsure", "from", "0.620"]],
    ]


def test_an_order_that_is_not_that_of_scores_is_explained(report: Report) -> None:
    """What metadata settles comes before a higher score of a model, which the heading says."""
    tagged, seen, accused = report.findings
    assert seen.verdict is not None
    score = Finding("objects-32", "score", 0.999)
    certain = replace(seen, verdict=replace(seen.verdict, score=0.999, findings=(score,)))
    odd = replace(report, findings=(tagged, certain, accused))

    assert "Most certain: what metadata settles, then by verdict and score" in printed(odd)
    assert "What metadata or marks settle comes first" in report_html(odd)
    assert "What metadata or marks settle comes first" not in report_html(report)


def test_long_paths_keep_their_names(report: Report) -> None:
    """A path that does not fit keeps its name, and the folder is cut."""
    assert any("…" in line and "/name.png" in line for line in printed(busy(report)))


def named(report: Report, *paths: str) -> Report:
    """Return a report whose findings are these images."""
    (one, *_) = report.findings
    findings = tuple(replace(one, path=path.encode()) for path in paths)
    return replace(report, findings=findings, evaluation=None, errors=())


def test_paths_are_whole_in_a_pipe(report: Report) -> None:
    """Where nothing limits the width, no path and no reason is cut, so that grep finds them."""
    path = "a folder/" * 20 + "name.png"
    lines = printed(named(report, path, "b.png"), columns=None)

    assert any(line.endswith(f"{path}  tag of ComfyUI") for line in lines)
    assert not any("…" in line for line in lines)


def test_all_of_a_wide_terminal_is_used(report: Report) -> None:
    """Text stays narrow, but a path has the room that there is."""
    path = "generators/" * 12 + "h_a1111.jpg"
    lines = printed(named(report, path), width=100, columns=200)

    assert any(f"{path}  tag of ComfyUI" in line for line in lines)


def test_names_that_differ_at_their_beginning_are_told_apart(report: Report) -> None:
    """A name that is too long is cut in its middle: its beginning and its end are shown."""
    names = [f"生成的圖片第{n}張 台北一〇一觀景台夜景.png" for n in "一二三"]
    lines = [line for line in printed(named(report, *names), 70, 70) if "生成" in line]

    assert 3 == len(set(lines)) == len(lines)
    assert all("…" in line and "夜景.png" in line for line in lines)
    assert all(cell_len(line) <= 70 for line in lines)


@pytest.mark.parametrize("number", [2, 10])
def test_narrow_terminal_has_no_bare_ellipsis(report: Report, number: int) -> None:
    """A reason without room stands on a line of its own, or is left out; 25 lines are enough."""
    lines = printed(named(report, *["photos/" * 4 + "name.png"] * number), 40, 40)

    assert any("…" in line and "/name.png" in line for line in lines)
    assert not any(line.endswith(" …") for line in lines)
    assert ("  tag of ComfyUI" in lines) is (number == 2)
    assert len(lines) <= MAX_LINES
    assert all(cell_len(line) <= 40 for line in lines)


def test_errors_say_how_to_look_further(unlabelled: Report) -> None:
    """Unreadable images are counted by kind, with an example and the command that lists them."""
    lines = printed(unlabelled)

    assert "truncated: 1 image, such as REAL/cut[bold].jpg" in lines
    assert "Unreadable: `scanner verdicts 1 --where verdict=error`" in lines


def test_ten_findings_before_details(report: Report) -> None:
    """Ten findings have room; what cannot be looked at is said all the same, in fewer words."""
    (named, *_) = report.findings
    path = "文件夹/".encode() * 30 + b"name.png"
    lines = printed(
        replace(busy(report), evaluation=None, findings=(replace(named, path=path),) * 10)
    )
    start = lines.index("Most certain (10 of 123,457)") + 1

    assert all(line.endswith("name.png  tag of ComfyUI") for line in lines[start : start + 10])
    assert all(cell_len(line) <= 80 for line in lines)
    assert any(line.startswith("Could not be read: ") for line in lines)
    assert any(line.startswith("Skipped 111,111,111 files") for line in lines)


def test_accuracy_is_a_short_table(report: Report, unlabelled: Report) -> None:
    """With labels the main figures are shown with their intervals, in at most eight lines."""
    lines = printed(report)
    start = next(n for n, line in enumerate(lines) if line.startswith("Accuracy on the 5"))
    table = lines[start : lines.index("", start)]

    assert len(table) <= 8
    assert table[0].startswith(
        "Accuracy on the 5 scored of 8 labelled images (AI from a score of 0.5)"
    )
    assert ["accuracy", "0.6000", "0.2307", "to", "0.8824"] in [line.split() for line in table]
    assert not any("Accuracy" in line for line in printed(unlabelled))


@pytest.mark.parametrize(
    ("kind", "found", "hint"),
    [
        ("raw", "but 3 RAW files, which need --raw", "RAW 3. RAW files are scanned with --raw."),
        ("archive", "but archives: unpack them", "archive 3. Unpack archives first."),
        ("other", "no images were found", "other types 3."),
    ],
)
def test_nothing_to_judge_is_said_first(store: Store, kind: str, found: str, hint: str) -> None:
    """A scan without images is one line, and why files were skipped; no table of zeros."""
    collection_id = scans.ensure_collection(store, "empty", b"/empty")
    empty = scans.new_scan(store, collection_id, scans.ensure_plan(store, Plan(())), "fleet")
    scans.mark_listed(store, empty.scan_id, {kind: 3}, 0)
    lines = printed(build(store, scans.find_scan(store, empty.scan_id)))

    assert lines[0].startswith("Scan 1 of empty, finished: nothing to judge")
    assert lines[0].endswith(found)
    assert " ".join(lines[1:]) == f"Skipped 3 files and folders: {hint}"


def test_nothing_that_could_be_judged_is_not_clean(report: Report) -> None:
    """A scan of unreadable files alone does not begin with how many look AI-generated."""
    none = replace(report.counts, images=6, ai=0, unsure=0, no_evidence=0, error=6, not_examined=0)
    first, only = (
        printed(replace(report, counts=counts, findings=()))[1]
        for counts in (none, replace(none, images=1, error=1))
    )

    assert "None of the 6 images could be judged." == first
    assert "The only image could not be judged." == only


def test_unlisted_scan_has_not_found_nothing(store: Store) -> None:
    """A scan that stopped before it listed its folder does not claim that the folder is empty."""
    collection_id = scans.ensure_collection(store, "photos", b"/photos")
    new = scans.new_scan(store, collection_id, scans.ensure_plan(store, Plan(())), "fleet")
    (line,) = printed(build(store, scans.find_scan(store, new.scan_id)))

    assert line == "Scan 1 of photos, unfinished: no images were listed yet"


@pytest.mark.parametrize(("images", "estimated"), [(2, False), (2_000, True)])
def test_estimate_needs_enough_images(unlabelled: Report, images: int, *, estimated: bool) -> None:
    """The share of two images is not estimated, that of two thousand is."""
    rates = Rates((Share(90, 100),) * 9, (Share(10, 100),) * 9)
    scored = Scored(("objects-32",), images, images // 2)
    lines = printed(replace(unlabelled, corrected=corrected_share([scored], lambda _: rates)))

    assert any(line.startswith("Estimate: ") for line in lines) is estimated
    assert any(line.startswith("No estimate: ") for line in lines) is not estimated


def test_last_lines_say_how_to_see_more(report: Report) -> None:
    """The commands that name the images and print all figures come last."""
    which, full = printed(report)[-2:]
    nothing = replace(report, counts=replace(report.counts, ai=0, unsure=0), findings=())

    assert which == "Which ones: `scanner verdicts 1 --where verdict=ai,unsure --format csv`"
    assert full == "All figures: `scanner report 1 --full`; to review: `scanner serve`"
    assert not any("Which ones" in line for line in printed(nothing))
