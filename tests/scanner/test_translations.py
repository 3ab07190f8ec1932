"""The texts of the pages: each is in the catalogue, translated, and compiled."""

from __future__ import annotations

import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from scanner.language import ENGLISH, LANGUAGES, gettext, ngettext, preferred, speaking
from scanner.report.text import labels
from storage.records import ErrorKind, Outcome

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog, Message

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "scanner" / "translations"
TRANSLATED = [tag for tag in LANGUAGES if tag != ENGLISH]
PLACEHOLDER = re.compile(r"%\(\w+\)s|\{\w+\}|</?\w+")


def catalogue(file: Path) -> Catalog:
    """Read a catalogue."""
    with file.open("rb") as opened:
        return read_po(opened)


def file_of(tag: str) -> Path:
    """Return the catalogue of a language."""
    return FOLDER / tag.replace("-", "_") / "LC_MESSAGES" / "scanner.po"


def forms(value: str | tuple[str, ...] | list[str]) -> list[str]:
    """Return the forms of a text, one where it has no plural."""
    return [value] if isinstance(value, str) else list(value)


def is_complete(message: Message) -> bool:
    """Check that no form of a text lacks its translation, its values or its tags."""
    wanted = sorted(PLACEHOLDER.findall(forms(message.id)[-1]))
    said = forms(message.string)
    return all(text and wanted == sorted(PLACEHOLDER.findall(text)) for text in said)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> set[str | tuple[str, ...]]:
    """Collect the texts of the sources, as bin/translations does."""
    file = tmp_path_factory.mktemp("texts") / "texts.pot"
    script = (ROOT / "bin" / "translations").read_text()
    keywords = re.search(r"--keywords '(.+?)'", script)
    assert keywords is not None
    given = ["-q", "extract", "--mapping-file", "pyproject.toml", "--keywords", keywords[1]]
    program = "from babel.messages.frontend import main; main()"
    subprocess.run(
        [sys.executable, "-c", program, *given, "--output-file", file, "scanner"],
        check=True,
        cwd=ROOT,
    )
    return {message.id for message in catalogue(file) if message.id}


@pytest.mark.parametrize("tag", TRANSLATED)
def test_every_text_is_translated(tag: str, texts: set[str | tuple[str, ...]]) -> None:
    """A text without a translation, or with other values in it, is named; see bin/translations."""
    messages = [message for message in catalogue(file_of(tag)) if message.id]

    assert texts == {message.id for message in messages}
    assert [] == [message.id for message in messages if not is_complete(message)]


@pytest.mark.parametrize("tag", TRANSLATED)
def test_catalogues_are_compiled(tag: str) -> None:
    """What is shown is what the catalogue says now."""
    compiled = BytesIO()
    write_mo(compiled, catalogue(file_of(tag)))

    assert compiled.getvalue() == file_of(tag).with_suffix(".mo").read_bytes()


def test_words_of_tables() -> None:
    """Each verdict and each kind of error has its word in both languages."""
    with speaking("zh-Hant"):
        verdicts = [labels.verdict(outcome) for outcome in (*Outcome, None)]
        errors = {labels.error(kind) for kind in ErrorKind}
        counted = labels.count(2, "image", "images")

    assert ["AI 生成", "不確定", "無證據", "錯誤", "待判定"] == verdicts
    assert len(ErrorKind) == len(errors | {labels.error(kind) for kind in ErrorKind}) - len(errors)
    assert "2 張影像" == counted
    assert "2 images" == labels.count(2, "image", "images")


def test_a_language_lasts_as_long_as_it_is_chosen() -> None:
    """Without a choice texts are English, and afterwards they are English again."""
    with speaking("zh-Hant"):
        inside = gettext("Gallery")

    assert ("圖庫", "Gallery") == (inside, gettext("Gallery"))
    assert "images" == ngettext("image", "images", 0)


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        ("", "en"),
        ("zh-TW,zh;q=0.9,en;q=0.8", "zh-Hant"),
        ("en-GB,en;q=0.9,zh-TW;q=0.8", "en"),
        ("de-DE,de;q=0.9,zh-Hant;q=0.5,en;q=0.3", "zh-Hant"),
        ("fr", "en"),
        ("zh;q=0, en;q=0.1", "en"),
        ("ZH-hant-TW", "zh-Hant"),
        (",;q=,zh;q=nan,en;q=1e9,;;", "en"),
        ("zh;q=²", "en"),
    ],
)
def test_the_language_that_a_browser_prefers(header: str, tag: str) -> None:
    """The heaviest language that there is wins; what cannot be read has no weight."""
    assert tag == preferred(header)
