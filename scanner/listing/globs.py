"""Include and exclude patterns with the syntax and meaning of lines in a .gitignore file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

if TYPE_CHECKING:
    from collections.abc import Iterable

_NEGATED_CLASS = re.compile(r"\[\^(\]?)")


class _Pattern(GitIgnoreSpecPattern):
    """A pattern as git reads it, also where pathspec 1.1 differs."""

    __slots__ = ()

    @classmethod
    def pattern_to_regex(cls, pattern: str) -> tuple[str | None, bool | None]:  # type: ignore[override]
        """Return the regular expression of a pattern, and whether it includes what it matches."""
        regex, include = super().pattern_to_regex(pattern)
        if regex is not None:
            # `[!x]` does not match a slash, `a/**` not the folder `a/` itself, and any character
            # may be a line break.
            regex = "(?s)" + _NEGATED_CLASS.sub(r"[^\1/", regex)
            if pattern.endswith("/**"):
                regex += "."
        return regex, include


def compile_patterns(patterns: Iterable[str]) -> GitIgnoreSpec:
    """Compile the patterns into a matcher, falsy if there are none.

    `match_file` takes a relative path, with a slash at its end if it is a folder's. Raises
    ValueError for a pattern that can never match.
    """
    lines = list(patterns)
    for line in lines:
        try:
            is_valid = "//" not in line and _Pattern(line).include is not None
        except (re.error, ValueError):
            is_valid = False
        if not is_valid:
            raise ValueError(f"invalid pattern {line!r}: expected a line as in a .gitignore file")
    # The backends that pathspec would choose by itself take no names that are not UTF-8.
    return GitIgnoreSpec.from_lines(lines, _Pattern, backend="simple")
