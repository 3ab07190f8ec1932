"""Include and exclude patterns."""

from __future__ import annotations

import pytest

from scanner.listing.globs import Globs


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
        ("a[1.jpg", b"a[1.jpg"),
        ("a/**/b.jpg", b"a/b.jpg"),
        ("a/**/b.jpg", b"a/x/y/b.jpg"),
        ("**/b.jpg", b"b.jpg"),
        ("a/**", b"a/x/y.jpg"),
        ("M?we.jpg", "Möwe.jpg".encode()),
        ("M?we.jpg", b"M\xf6we.jpg"),
        ("a+(1).jpg", b"a+(1).jpg"),
        ("*.jpg", b"two\nlines.jpg"),
    ],
)
def test_a_pattern_is_met(pattern: str, path: bytes) -> None:
    """Names at any depth, paths from the root, folders and what is below them, as documented."""
    assert Globs([pattern])(path)


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
def test_a_pattern_is_not_met(pattern: str, path: bytes) -> None:
    """A wildcard stops at a slash, a name counts whole, case counts."""
    assert not Globs([pattern])(path)


def test_any_of_several_patterns_will_do() -> None:
    """One pattern that is met is enough."""
    globs = Globs(["*.png", "x/"])

    assert [True, True, False] == [globs(b"a.png"), globs(b"x/a.jpg"), globs(b"y/a.jpg")]


def test_no_patterns_are_falsy() -> None:
    """Without patterns there is nothing to ask."""
    assert not Globs([])


@pytest.mark.parametrize("pattern", ["", "/", "a//b", "[z-a].jpg"])
def test_a_pattern_that_names_nothing_is_refused(pattern: str) -> None:
    """A pattern that is empty, or no file could meet, is a mistake: not everything, not nothing."""
    with pytest.raises(ValueError, match="is no pattern"):
        Globs([pattern])
