"""Include and exclude patterns."""

from __future__ import annotations

import os

import pytest

from scanner.listing.globs import compile_patterns


def matches(patterns: list[str], path: bytes) -> bool:
    """Return whether a path matches the patterns, as a walk asks."""
    return compile_patterns(patterns).match_file(os.fsdecode(path))


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*.png", b"a.png"),
        ("*.png", b"deep/down/a.png"),
        ("thumbs", b"thumbs/"),
        ("thumbs", b"2019/thumbs/"),
        ("thumbs", b"2019/thumbs/a.jpg"),
        ("cache/", b"x/cache/"),
        ("/private", b"private/"),
        ("/private", b"private/a/b.jpg"),
        ("2019/*.jpg", b"2019/a.jpg"),
        ("20??", b"x/2019/a.jpg"),
        ("IMG_[0-9].jpg", b"IMG_7.jpg"),
        ("IMG_[!0-9].jpg", b"IMG_x.jpg"),
        ("[]x].jpg", b"].jpg"),
        ("a/**/b.jpg", b"a/b.jpg"),
        ("a/**/b.jpg", b"a/x/y/b.jpg"),
        ("**/b.jpg", b"b.jpg"),
        ("a/**", b"a/x/y.jpg"),
        ("M?we.jpg", "Möwe.jpg".encode()),
        ("M?we.jpg", b"M\xf6we.jpg"),
        ("a+(1).jpg", b"a+(1).jpg"),
        ("*.jpg", b"two\nlines.jpg"),
        ("*.jpg", b"two\nlines/a.jpg"),
        ("x/*.jpg", b"x/\xff.jpg"),
    ],
)
def test_pattern_matches(pattern: str, path: bytes) -> None:
    """Names match at any depth, paths from the root, folders with all that is below them."""
    assert matches([pattern], path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*.png", b"a.PNG"),
        ("*.png", b"a.png.jpg"),
        ("thumbs", b"thumbs2/a.jpg"),
        ("thumbs", b"mythumbs/a.jpg"),
        ("cache/", b"cache"),
        ("/private", b"x/private/"),
        ("2019/*.jpg", b"2019/x/a.jpg"),
        ("2019/*.jpg", b"x/2019/a.jpg"),
        ("a?b", b"a/b"),
        ("a[!x]b", b"a/b"),
        ("IMG_[!0-9].jpg", b"IMG_7.jpg"),
        ("a/**/b.jpg", b"ab.jpg"),
        ("a/**", b"a/"),
        ("a.jpg", b"aXjpg"),
    ],
)
def test_pattern_does_not_match(pattern: str, path: bytes) -> None:
    """A wildcard stops at a slash, names match as a whole, case matters."""
    assert not matches([pattern], path)


def test_any_of_several_patterns_matches() -> None:
    """A path that matches one of the patterns matches."""
    patterns = ["*.png", "x/"]

    assert [True, True, False] == [
        matches(patterns, path) for path in (b"a.png", b"x/a.jpg", b"y/a.jpg")
    ]


def test_no_patterns_are_falsy() -> None:
    """A matcher without patterns is falsy."""
    assert not compile_patterns([])


@pytest.mark.parametrize(
    ("path", "excluded"), [(b"a/x.jpg", True), (b"a/keep.jpg", False), (b"a/", False)]
)
def test_negated_pattern(path: bytes, excluded: bool) -> None:  # noqa: FBT001
    """A later pattern with `!` takes back what an earlier one matched."""
    assert excluded == matches(["a/**", "!keep.jpg"], path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [(r"\#1.jpg", b"#1.jpg"), (r"\!.jpg", b"!.jpg"), (r"a\[1.jpg", b"a[1.jpg"), ("a ", b"a")],
)
def test_escapes_as_in_gitignore(pattern: str, path: bytes) -> None:
    """A backslash takes a special character literally; spaces at the end do not count."""
    assert matches([pattern], path)


@pytest.mark.parametrize(
    "pattern", ["", " ", "/", "a//b", "[z-a].jpg", "a[1.jpg", "#a.jpg", "!", "a\\"]
)
def test_pattern_that_never_matches_is_refused(pattern: str) -> None:
    """A pattern that can match no file is an error, not a pattern without effect."""
    with pytest.raises(ValueError, match="invalid pattern"):
        compile_patterns([pattern])
