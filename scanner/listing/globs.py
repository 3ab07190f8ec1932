"""Include and exclude patterns on relative paths, as in a .gitignore file.

- A pattern without a slash (`*.png`, `thumbs`) is met by any file or folder of that name.
- A pattern with a slash before its end (`2019/*.jpg`, `/private`) counts from the root.
- A slash at the end (`cache/`) means folders only.
- `*` and `?` stop at slashes, `[a-z]` and `[!a-z]` are one character; `**` is any number of
  folders.
- What is below a folder that meets the pattern meets it too. Case counts.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_CLASS = re.compile(r"\[(!?)(\]?[^\]]*)\]")


class Globs:
    """Any of some patterns; falsy where there is none.

    Raises `ValueError`, with a sentence, for a pattern that is empty or none.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        parts = [_checked(pattern) for pattern in patterns]
        self._match = re.compile("|".join(parts), re.DOTALL).match if parts else None

    def __bool__(self) -> bool:
        return self._match is not None

    def __call__(self, path: bytes) -> bool:
        """Whether a pattern is met by this relative path or a folder it is in.

        The path of a folder ends with a slash.
        """
        return self._match is not None and self._match(os.fsdecode(path)) is not None


def _checked(pattern: str) -> str:
    expression = _translated(pattern)
    try:
        re.compile(expression)
    except re.error as error:
        # As in `[z-a]`.
        raise ValueError(f"{pattern!r} is no pattern: {error.msg}") from error
    return expression


def _translated(pattern: str) -> str:
    """The regular expression of one pattern, to be matched from the start of a path."""
    segments = pattern.strip("/").split("/")
    if not all(segments):
        raise ValueError(f"{pattern!r} is no pattern: it names nothing, or nothing between slashes")
    anchored = pattern.startswith("/") or len(segments) > 1
    expression = "" if anchored else "(?:.*/)?"
    for segment in segments[:-1]:
        expression += "(?:.*/)?" if segment == "**" else _segment(segment) + "/"
    expression += ".+" if segments[-1] == "**" else _segment(segments[-1])
    return f"(?:{expression}{'/' if pattern.endswith('/') else '(?:/|$)'})"


def _segment(segment: str) -> str:
    expression, position = "", 0
    while position < len(segment):
        character = segment[position]
        found = _CLASS.match(segment, position)
        if found:
            inside = re.sub(r"([\\^\[\]&~|])", r"\\\1", found[2])
            expression += f"(?!/)[{'^' if found[1] else ''}{inside}]"
            position = found.end()
            continue
        expression += {"*": "[^/]*", "?": "[^/]"}.get(character, re.escape(character))
        position += 1
    return expression
