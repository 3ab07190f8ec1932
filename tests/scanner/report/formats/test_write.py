"""A report as a file: HTML, CSV, Parquet, redacted, and two scans compared."""

from __future__ import annotations

import csv
import io
import json
import re
import stat
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from scanner.cli import cli
from scanner.report.figures.compare import compare, mcnemar
from scanner.report.figures.redact import redacted
from scanner.report.formats.html import report_html
from scanner.report.formats.parquet import write_verdicts
from scanner.report.formats.row import check_row
from scanner.report.formats.write import body, figures, write
from storage.reads.evidence import EvidenceCount
from storage.records import Finding, ListedImage, Outcome
from storage.writes import listing, results, scans
from tests.scanner.report.conftest import PLAN, verdict

if TYPE_CHECKING:
    from pathlib import Path

    from scanner.report.figures.build import Report
    from storage.database.store import Store
    from storage.writes.scans import Scan

FORMS = ("table", "json", "csv", "parquet", "html")


def scanner(*words: str, store: Store) -> Result:
    """Run a command on the store."""
    env = {"SCANNER_STORE_URL": str(store.engine.url.database)}
    return CliRunner(env=env).invoke(cli, words)


class Page(HTMLParser):
    """A page's tags with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep it."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Keep it."""
        self.text += data


def test_page_is_self_contained(report: Report) -> None:
    """The page has no script, loads nothing, and has a policy that forbids both."""
    page = Page(report_html(report))
    policy = [given["content"] for tag, given in page.tags if "http-equiv" in given]

    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    assert not {"script", "img", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert not [
        (tag, name)
        for tag, given in page.tags
        for name in given
        if name in ("src", "href", "style") or name.startswith("on")
    ]


def test_page_has_the_answer_first(report: Report) -> None:
    """The page starts with the answer."""
    text = " ".join(Page(report_html(report)).text.split())

    assert "2 of 8 images look AI-generated, 1 is unsure" in text
    assert text.index("look AI-generated") < text.index("Verdict")
    assert "Accuracy on the 5 scored of 8 labelled images" in text
    assert "REAL/cut[bold].jpg" in text


def test_full_report_has_every_table(store: Store, scan: Scan) -> None:
    """`--full` adds what the summary leaves out: hosts, detectors, throughput."""
    short = scanner("report", store=store).stdout
    full = scanner("report", "--full", store=store).stdout

    for heading in ("\nHosts", "\nDetectors", "\nVerdict ", "\nJudged 7 images"):
        assert heading not in short
        assert heading in full


def test_charts_are_drawn_and_named(report: Report) -> None:
    """Each chart has a name for screen readers, and the page's colours."""
    html = report_html(report)
    charts = [given["aria-label"] for tag, given in Page(html).tags if given.get("role") == "img"]

    assert {"ROC curve", "Precision-recall curve", "Reliability"} <= set(charts)
    assert "Images per second, by host" in charts
    assert not re.search(r'(?:fill|stroke)="#', html)


def test_names_are_escaped_in_html(report: Report) -> None:
    """Names from files, hosts and users are escaped."""
    evil = "<script>alert(1)</script>\u202e\x1b[2J"
    evidence = (EvidenceCount("provenance", evil, evil, evil, 1),)
    host = replace(report.hosts[0], label=evil, arch=evil)
    error = replace(report.errors[0], examples=((evil.encode(), evil),))
    folders = replace(
        report.breakdown.folders,
        by_name={evil.encode(): one for one in report.breakdown.folders.by_name.values()}
        | report.breakdown.folders.by_name,
    )
    html = report_html(
        replace(
            report,
            scan=replace(report.scan, collection=evil, skipped={evil: 1}),
            evidence=evidence,
            hosts=(host,),
            errors=(error,),
            breakdown=replace(
                report.breakdown,
                folders=folders,
                deciding={evil: next(iter(report.breakdown.deciding.values()))},
            ),
        )
    )

    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 8
    assert "\x1b" not in html
    assert "\u202e" not in html


def test_empty_and_unlabelled_reports_have_pages(report: Report) -> None:
    """Parts without content are left out."""
    nothing = dict.fromkeys(("images", "ai", "unsure", "no_evidence", "error"), 0)
    counts = replace(report.counts, **nothing, not_examined=0, kept=0)
    empty = replace(
        report,
        counts=counts,
        evaluation=None,
        hosts=(),
        detectors=(),
        evidence=(),
        errors=(),
        throughput=replace(report.throughput, by_host={}),
    )

    assert "Nothing to judge but 3 RAW files, which need --raw." in report_html(empty)
    assert "labelled" not in report_html(empty)


@pytest.mark.parametrize("form", FORMS)
def test_redacted(report: Report, tmp_path: Path, form: str) -> None:
    """No format contains a path or a name; the counts stay."""
    file = tmp_path / "report"
    write(redacted(report), form, file)
    data = file.read_bytes()
    if form == "parquet":
        data = json.dumps(pq.read_table(file).to_pylist()).encode()
    if form == "html":
        data = Page(data.decode().partition("</style>")[2]).text.encode()

    for name in (b"photos", b"pi4", b"h1", b"cut", b"large"):
        # As a word: a sentence about cut-off files, say, is none.
        assert not re.search(rb"\b" + name + rb"\b(?!-)", data), name
    assert body(redacted(report))["verdicts"] == body(report)["verdicts"]
    assert [one["images"] for one in body(redacted(report))["folders"]] == [
        one["images"] for one in body(report)["folders"]
    ]


def test_csv_and_parquet_have_all_of_the_json(report: Report, tmp_path: Path) -> None:
    """Each figure of the JSON is a row, numbers as numbers."""
    for form in ("csv", "parquet"):
        write(report, form, tmp_path / form)
    text = (tmp_path / "csv").read_text(encoding="utf-8")
    rows = {row["figure"]: row for row in csv.DictReader(io.StringIO(text))}
    table = {row["figure"]: row for row in pq.read_table(tmp_path / "parquet").to_pylist()}
    wanted = [path for path, _, _ in figures(body(report))]

    assert wanted == list(rows) == list(table)
    assert rows["verdicts.ai"] == {"figure": "verdicts.ai", "number": "2", "text": ""}
    assert table["hosts[0].arch"] == {
        "figure": "hosts[0].arch",
        "number": None,
        "text": "aarch64",
    }


def test_file_is_written_atomically(store: Store, scan: Scan, tmp_path: Path) -> None:
    """A file is replaced; a path that cannot be written is one sentence, without remains."""
    file = tmp_path / "report.html"
    file.write_text("old")
    done = scanner("report", "--format", "html", "--output", str(file), store=store)
    failed = scanner("report", "--output", str(tmp_path / "no" / "r"), store=store)

    assert done.exit_code == 0
    assert done.stdout == ""
    assert file.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~current_umask(tmp_path)
    assert failed.exit_code == 1
    assert "cannot be written: No such file or directory" in failed.stderr
    assert [one.name for one in tmp_path.iterdir() if "tmp" in one.name] == []


def current_umask(folder: Path) -> int:
    """Return the process's umask."""
    file = folder / "probe"
    file.touch()
    mode = stat.S_IMODE(file.stat().st_mode)
    file.unlink()
    return 0o666 & ~mode


def test_fail_on_ai(store: Store, scan: Scan) -> None:
    """With --fail-on, AI-generated images give exit code 5 and the report."""
    result = scanner("report", "--fail-on", "ai", "--json", store=store)

    assert result.exit_code == 5
    assert json.loads(result.stdout)["verdicts"]["ai"] == 2


@pytest.fixture
def later(store: Store, scan: Scan) -> Scan:
    """Return a later scan of two of the images: it misses one AI-generated image."""
    begun = scans.new_scan(store, scan.collection_id, scans.ensure_plan(store, PLAN), "fleet")
    listed = [
        ListedImage(b"FAKE/seen.jpg", 10, 1, True),
        ListedImage(b"REAL/seen.jpg", 10, 1, False),
    ]
    batch = listing.add_batch(store, begun, listed, None)
    assert batch is not None
    going = results.begin_run(store, batch.batch_id, 1, ("h1", "w"))
    assert going is not None
    (made, path), (real, other) = [(one.image_id, one.path) for one in batch.images]
    results.record_verdicts(
        store,
        going[0],
        [
            verdict(made, path, Outcome.NO_EVIDENCE, 0.3),
            verdict(real, other, Outcome.NO_EVIDENCE, 0.1),
        ],
    )
    return scans.find_scan(store, begun.scan_id)


def test_two_scans_compared(store: Store, scan: Scan, later: Scan) -> None:
    """Changed verdicts are counted and named, and McNemar's test is made."""
    found = compare(store, scan, later)

    assert (found.both, found.changed) == (2, 1)
    assert [(one.path, one.before, one.after) for one in found.examples] == [
        (b"FAKE/seen.jpg", Outcome.AI, Outcome.NO_EVIDENCE)
    ]
    assert found.mcnemar == mcnemar(1, 0)


@pytest.mark.parametrize("form", FORMS)
def test_comparison_in_each_form(
    store: Store, scan: Scan, later: Scan, tmp_path: Path, form: str
) -> None:
    """`report A B` has every format, and redaction."""
    plain, safe = tmp_path / "plain", tmp_path / "safe"
    first = scanner("report", "1", "2", "--format", form, "--output", str(plain), store=store)
    second = scanner(
        "report", "1", "2", "--redact", "--format", form, "--output", str(safe), store=store
    )

    assert (first.exit_code, second.exit_code) == (0, 0)
    if form != "parquet":
        assert b"FAKE/seen.jpg" in plain.read_bytes()
    assert b"seen.jpg" not in safe.read_bytes()


def test_comparison_says_what_changed(store: Store, scan: Scan, later: Scan) -> None:
    """The comparison fits 80 columns and has its result first."""
    text = scanner("report", "1", "2", store=store).stdout

    assert "1 of the 2 images that both judged has another verdict now." in text
    assert "no more than chance (McNemar, p = 1.0000)" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80


def test_nothing_changed(store: Store, scan: Scan) -> None:
    """A scan compared with itself has no changed verdict."""
    text = scanner("report", "1", "1", store=store).stdout

    assert "None of the 7 images that both judged has another verdict now." in text


@pytest.mark.parametrize(
    ("before", "after", "p_value"),
    # By hand: 2 * (1 + 10) / 2^10; a coin that fell once; and SciPy's binomtest, chi2.sf.
    [(1, 9, 22 / 1024), (1, 0, 1.0), (12, 30, 0.0079463), (900, 1100, 8.6e-6)],
)
def test_mcnemar(before: int, after: int, p_value: float) -> None:
    """McNemar's test is exact for few images, chi-squared for many."""
    assert mcnemar(before, after).p_value == pytest.approx(p_value, rel=0.02)


def test_mcnemar_without_discordant_images() -> None:
    """Scans that are right about the same images have no p-value."""
    assert mcnemar(0, 0).p_value is None


def test_three_scans_are_refused(store: Store, scan: Scan) -> None:
    """A third scan is a usage error."""
    assert scanner("report", "1", "2", "3", store=store).exit_code == 2


def test_verdicts_as_parquet(store: Store, scan: Scan, tmp_path: Path) -> None:
    """Each row can be read back with its types; a path that is not UTF-8 has its bytes."""
    file = tmp_path / "verdicts.parquet"
    scanner("verdicts", "--format", "parquet", "--output", str(file), store=store)
    rows = pq.read_table(file).to_pylist()

    assert len(rows) == 8
    assert rows[0]["score"] == 0.98
    assert json.loads(rows[0]["findings"])[0]["detail"] == {"generator": "ComfyUI"}
    assert rows[5]["path_b64"] == "UkVBTC9sYXJnZf8uanBn"
    assert rows[7]["verdict"] == "pending"
    assert rows[7]["examined"] is None


def test_verdicts_as_a_table(store: Store, scan: Scan) -> None:
    """The table has a line per image, without control characters."""
    text = scanner("verdicts", "--format", "table", "--where", "verdict=ai", store=store).stdout

    assert text.splitlines()[1:] == [
        "ai           0.980  provenance    FAKE/tagged.png",
        "ai           0.900  objects-32    FAKE/seen.jpg",
    ]


def test_corrected_share_is_by_the_cards_rates(store: Store, scan: Scan) -> None:
    """A detector with another model than the card's has no rates, and is left out."""
    body = json.loads(scanner("report", "--json", store=store).stdout)

    assert body["corrected_share"] is None
    full = scanner("report", "--full", store=store).stdout
    assert "give no estimate" in " ".join(full.split())


def test_finding_texts_are_utf8_in_parquet(store: Store, tmp_path: Path) -> None:
    """A finding with a lone surrogate does not stop the export."""
    odd = replace(
        verdict(1, b"x", Outcome.AI, 0.9),
        detector="\ud800",
        findings=(Finding("d", "k", 0.9, "\ud800"),),
    )
    out = io.BytesIO()
    write_verdicts([check_row(b"\xff", odd)], out)

    assert pq.read_table(io.BytesIO(out.getvalue())).num_rows == 1


def test_page_in_chinese(store: Store, scan: Scan) -> None:
    """With --language the page is in that language, but for names, terms and what files said."""
    page = Page(scanner("report", "--format", "html", "--language", "zh-Hant", store=store).stdout)
    text = re.sub(r"<style>.*?</style>", "", page.text.partition("}\n\n")[2] or page.text)
    words = set(re.findall("[A-Za-z]{3,}", text))
    paths = {"accused", "bold", "cut", "jpg", "jpgAI", "photos", "pngAI", "seen", "tagged"}
    from_the_store = {
        "jpgthe",
        "file",
        "ends",
        "early",
        "ComfyUI",
        "objects",
        "provenance",
        "aarch",
    }
    terms = {
        "AUC",
        "FAKE",
        "Gelman",
        "RAW",
        "REAL",
        "ROC",
        "UTC",
        "Wilson",
        "scanner",
        "unsure",
        "video",
    }
    stages = {"fetchdecodeinfer"}

    assert ("html", {"lang": "zh-Hant"}) in page.tags
    assert "8 張影像中有 2 張看起來是 AI 生成" in page.text
    assert words <= paths | from_the_store | terms | stages
    other = scanner("report", "--language", "zh-Hant", store=store)
    assert "look AI-generated" in other.stdout
