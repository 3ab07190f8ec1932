"""What a watch says while something is missing, and when it is there again."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from scanner.watch import watcher
from scanner.watch.growth import Growth, Look
from scanner.watch.root import Root
from scanner.watch.watcher import Watcher, changes_of
from storage.errors import ServiceUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


class _End(Exception):
    """The end of a watch."""


class _Answers:
    """Calls that fail with a text where there is one, and end the watch after the last."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = iter(texts)
        self.looks = 0

    def __call__(self) -> None:
        """Give the next answer."""
        text = next(self._texts, None)
        if text is None:
            raise _End
        if text:
            raise ServiceUnavailable(text)

    def look(self, _: Mapping[bytes, bool]) -> Look:
        """Answer a look at folders; what does not fail goes on."""
        self.looks += 1
        text = next(self._texts, "")
        if text:
            raise ServiceUnavailable(text)
        return Look()


@pytest.mark.parametrize(
    ("looks", "steps", "expected"),
    [
        ([], ["no store"] * 4 + [""], ["no store: trying again", "all is there again"]),
        (["no queue"] * 2, [""] * 8, ["no queue: trying again", "all is there again"]),
        (["no queue"] * 9, ["no store", "", "", ""], ["no queue: trying again"]),
    ],
    ids=["store", "queue", "both"],
)
def test_says_once_what_is_missing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    looks: list[str],
    steps: list[str],
    expected: list[str],
) -> None:
    """What does not answer is said once, and its return only when all answers again."""
    for name in ("STEP_SECONDS", "RETRY_SECONDS"):
        monkeypatch.setattr(watcher, name, 0.0)
    said: list[str] = []
    growth = cast("Growth", _Answers(looks))
    watch = Watcher(
        Root(tmp_path, lambda: False),
        growth,
        changes_of(tmp_path, 1.0),
        said.append,
        _Answers(steps),
    )

    with pytest.raises(_End):
        watch.run(60.0)

    assert expected == said


def test_looks_at_everything_once_a_period(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole folder is looked at once, and not again before the next time."""
    monkeypatch.setattr(watcher, "STEP_SECONDS", 0.0)
    answers = _Answers([])
    watch = Watcher(
        Root(tmp_path, lambda: False),
        cast("Growth", answers),
        changes_of(tmp_path, 1.0),
        print,
        _Answers([""] * 9),
    )

    with pytest.raises(_End):
        watch.run(60.0)

    assert 1 == answers.looks
