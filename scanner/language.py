"""The language of texts for people: English, or a translation from `scanner/translations`.

Only a request for a page chooses a language, for itself; commands speak English.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from gettext import NullTranslations, translation
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ENGLISH = "en"
# By tag (BCP 47, as `<html lang>` has it): the language's own name.
LANGUAGES = {ENGLISH: "English", "zh-Hant": "繁體中文"}
# By the first subtag of what a browser asks for: Chinese of any kind is nearer than English.
_BY_SUBTAG = {"en": ENGLISH, "zh": "zh-Hant"}
_FOLDER = Path(__file__).parent / "translations"

_chosen = ContextVar("language", default=ENGLISH)


def gettext(text: str) -> str:
    """Return a text in the chosen language."""
    return _translations(_chosen.get()).gettext(text)


def ngettext(singular: str, plural: str, number: int) -> str:
    """Return the form of a text for a number in the chosen language."""
    return _translations(_chosen.get()).ngettext(singular, plural, number)


def marked(text: str) -> str:
    """Return a text unchanged: it is in the catalogue, and translated where it is shown."""
    return text


def chosen() -> str:
    """Return the tag of the chosen language."""
    return _chosen.get()


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Choose a language, by its tag in LANGUAGES, for this context."""
    token = _chosen.set(language)
    try:
        yield
    finally:
        _chosen.reset(token)


def preferred(accept_language: str) -> str:
    """Return the language that an Accept-Language header prefers, English if it names none."""
    wanted: list[tuple[float, str]] = []
    for part in accept_language.split(","):
        tag, _, weight = part.partition(";")
        subtag = tag.strip().lower().partition("-")[0]
        if subtag in _BY_SUBTAG:
            wanted.append((_weight(weight), _BY_SUBTAG[subtag]))
    best = max(wanted, key=lambda each: each[0], default=(0.0, ENGLISH))
    return best[1] if best[0] > 0 else ENGLISH


def _weight(parameter: str) -> float:
    """Return the weight of `q=0.5`, 1 without one, 0 for what is not a weight."""
    if not parameter.strip():
        return 1.0
    name, _, value = parameter.partition("=")
    digits = value.strip()
    is_number = digits.replace(".", "", 1).isascii() and digits.replace(".", "", 1).isdigit()
    return float(digits) if name.strip().lower() == "q" and is_number else 0.0


@cache
def _translations(language: str) -> NullTranslations:
    if language == ENGLISH:
        return NullTranslations()
    return translation("scanner", _FOLDER, [language.replace("-", "_")])
