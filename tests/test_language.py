"""The language of messages, help, documentation and docstrings: plain English of the field."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[1]
# The share of functions' docstrings that has to open with a verb.
VERBS = 0.95


@pytest.fixture(scope="module")
def house() -> ModuleType:
    """Import benchmarks/house.py, which holds the phrases and the rules."""
    spec = importlib.util.spec_from_file_location("house", ROOT / "benchmarks" / "house.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["house"] = module
    spec.loader.exec_module(module)
    return module


def test_no_banned_phrases(house: ModuleType) -> None:
    """Pages, templates, messages and docstrings use the field's terms, not home-made ones."""
    found = [f"{place.file}:{place.line}: {place.phrase}" for place in house.banned(ROOT)]

    assert [] == found


def test_docstrings_open_with_a_verb(house: ModuleType) -> None:
    """The docstrings of functions and methods say what the function does."""
    openings = {
        f"{module.name}:{line} {text.splitlines()[0]}": house.opens_with_verb(text)
        for module in house.modules(ROOT).values()
        for _, line, text in house.docstrings(module)
    }
    others = [place for place, is_verb in openings.items() if not is_verb]

    assert len(others) <= (1 - VERBS) * len(openings), "\n".join(others)


def test_no_import_cycles(house: ModuleType) -> None:
    """Modules do not import each other in circles, imports for types included."""
    graph = {module.name: module.imports | module.typed for module in house.modules(ROOT).values()}

    assert [] == house.cycles(graph)


@pytest.mark.parametrize(
    ("docstring", "is_verb"),
    [
        ("Return the path.", True),
        ("Process a batch.", True),
        ("Feed the model.", True),
        ("Returns the path.", False),
        ("The path.", False),
        ("Whether it exists.", False),
        ("Celery's application.", False),
        ("`name` is the name.", False),
    ],
)
def test_verbs_are_recognised(house: ModuleType, docstring: str, *, is_verb: bool) -> None:
    """A docstring opens with a verb in the imperative, not in another form."""
    assert is_verb == house.opens_with_verb(docstring)


def test_cycles_are_found(house: ModuleType) -> None:
    """A circle of three modules is one cycle; a chain is none."""
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": set()}

    assert [["a", "b", "c"]] == house.cycles(graph)
