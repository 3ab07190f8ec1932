"""Damaged files of every format: each has a verdict, none ends or hangs the process of a worker."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

import pytest

FUZZ = Path(__file__).parents[3] / "benchmarks" / "fuzz.py"
FORMATS = {"AVIF", "BMP", "GIF", "HEIF", "JPEG", "PNG", "TIFF", "WEBP", "RAW", "hidden settings"}
SIDECARS = {".json", ".txt", ".xmp"}
# Of each format; `benchmarks/fuzz.py` runs for hours by hand.
COUNT = 250


@pytest.fixture(scope="module")
def fuzz() -> Any:  # noqa: ANN401 - a module
    """Import benchmarks/fuzz.py, which is a script."""
    spec = importlib.util.spec_from_file_location("fuzz", FUZZ)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Where its dataclasses look up their types.
    sys.modules["fuzz"] = module
    spec.loader.exec_module(module)
    return module


def test_damaged_files_are_judged(fuzz: Any) -> None:  # noqa: ANN401
    """Of each format some are decoded and some refused; none crashes, hangs or is a bug."""
    seeds = fuzz.seeds(())
    results = {form: fuzz.fuzz(form, files, COUNT, seed=15) for form, files in seeds.items()}

    assert results.keys() >= FORMATS | SIDECARS
    for form, result in results.items():
        assert [] == [kind for kind, _ in result.bad], form
        assert COUNT == result.outcomes.total()
        # The only HEIC among the cases is a damaged one.
        assert 0 < result.outcomes["read"] < COUNT or form == "HEIF"


def test_the_same_seed_gives_the_same_files(fuzz: Any) -> None:  # noqa: ANN401
    """What was found can be found again, and no file is left as it was."""
    files = fuzz.seeds(())["PNG"]
    first, again = ([fuzz.mutated(Random(7), files)] * 2 for _ in range(2))

    assert first == again
    assert first[0] not in files


def test_checksums_of_a_png_are_made_right(fuzz: Any) -> None:  # noqa: ANN401
    """A damaged chunk gets the checksum of what is in it, so that decoders look at it."""
    whole = bytearray(fuzz.seeds(())["PNG"][0])
    whole[20] ^= 1
    mended = fuzz.with_checksums(whole)

    assert whole[:29] == mended[:29]
    assert crc32(mended[12:29]).to_bytes(4) == mended[29:33]
    assert b"no image" == fuzz.with_checksums(b"no image")
