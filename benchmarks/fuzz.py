"""Give the reader of metadata and the decoder damaged files, in the confined process of a worker.

Valid files are changed at random, and judged as a worker judges an image that has killed another:
`python benchmarks/fuzz.py --count 100000 FOLDER...` makes so many of each format, from the files of
`tests/cases` and of these folders. The same `--seed` gives the same files. What kills the process,
hangs or is an internal error is kept in `--keep`. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING
from zlib import crc32

from PIL import Image

from storage.records import BatchImage, ErrorKind
from workers.batch.sandbox import Sandbox
from workers.detectors import installed
from workers.detectors.card import load_card
from workers.images.formats import decodable_format
from workers.limits import Limits
from workers.pipeline.plan import make_plan
from workers.sources.source import Fetched

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from storage.records import Sidecar, Verdict

CASES = Path(__file__).parents[1] / "tests" / "cases"
# Larger files would have most of their changes in the pixels.
MAX_SEED_BYTES = 200_000
# What an image may take before it counts as one that hangs.
LIMITS = Limits(image_seconds=30.0, sandbox_bytes=2 * 2**30)
BAD = (ErrorKind.CRASHED, ErrorKind.TIMEOUT, ErrorKind.INTERNAL)
DRAWN = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")
# Numbers at which lengths, sizes and offsets overflow.
EDGES = (
    b"\0",
    b"\xff",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x80\0\0\0",
    b"\x01\0",
)


@dataclass
class Result:
    """What became of the files of one format."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    peak_mb: int = 0
    bad: list[tuple[str, bytes]] = field(default_factory=list)


class Memory:
    """A source with one file."""

    def __init__(self) -> None:
        self.data = b""

    def fetch(self, _path: bytes, _expected_bytes: int | None = None) -> Fetched:
        """Return the file."""
        return Fetched(self.data, sha256(self.data).digest())

    def fetch_sidecar(self, _image: bytes, _sidecar: Sidecar) -> bytes:
        """Return nothing: no sidecar is listed."""
        return b""


def drawn() -> Iterator[bytes]:
    """Yield valid files with metadata that this program makes itself."""
    tags = Image.Exif()
    tags[305], tags[274] = "Adobe Firefly", 6
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a DigitalSourceType="x"/></x:xmpmeta>'
    for mode in ("RGB", "RGBA", "P", "L"):
        noise = Image.effect_noise((70, 50), 80).convert("RGB").convert(mode)
        for form in DRAWN:
            file, options = BytesIO(), {}
            if form not in ("GIF", "BMP"):
                options = {"exif": tags, "xmp": xmp}
            (noise.convert("RGB") if form in ("JPEG", "AVIF") else noise).save(
                file, form, **options
            )
            yield file.getvalue()


def seeds(folders: Sequence[Path]) -> dict[str, list[bytes]]:
    """Return valid files by format: drawn ones, the test cases and those of the folders."""
    found: dict[str, list[bytes]] = defaultdict(list)
    files = [path for folder in (CASES, *folders) for path in sorted(folder.rglob("*"))]
    small = (path for path in files if path.is_file() and path.stat().st_size < MAX_SEED_BYTES)
    for data in (*drawn(), *(path.read_bytes() for path in small)):
        form = decodable_format(data)
        if form is not None:
            found[form].append(data)
    return found


def mutated(random: Random, files: Sequence[bytes]) -> bytes:
    """Return one of the files, changed in one to eight places."""
    data = bytearray(random.choice(files))
    for _ in range(random.choice((1, 1, 2, 4, 8))):
        if not data:
            break
        # Headers and metadata come first in most formats.
        most = random.choice((min(len(data), 600), len(data)))
        at, length = random.randrange(most), random.choice((1, 2, 4, 16, 200))
        way = random.randrange(7)
        if way == 0:
            data[at] ^= 1 << random.randrange(8)
        elif way == 1:
            data[at : at + length] = random.randbytes(length)
        elif way == 2:  # noqa: PLR2004 - one of seven ways
            edge = random.choice(EDGES)
            data[at : at + len(edge)] = edge
        elif way == 3:  # noqa: PLR2004
            del data[at : at + length]
        elif way == 4:  # noqa: PLR2004
            data[at:at] = data[at : at + length] * random.choice((1, 3, 40))
        elif way == 5:  # noqa: PLR2004
            other = random.choice(files)
            start = random.randrange(len(other))
            data[at : at + length] = other[start : start + length]
        else:
            del data[max(at, 30) :]
    return with_checksums(data) if random.random() < 0.5 else bytes(data)  # noqa: PLR2004 - half


def with_checksums(data: bytes | bytearray) -> bytes:
    """Return a PNG with right checksums, behind which the decoder would not look; others as is."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return bytes(data)
    chunks, at = [bytes(data[:8])], 8
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4])
        body = bytes(data[at + 4 : at + 8 + size])
        chunks.append(bytes(data[at : at + 4]) + body + crc32(body).to_bytes(4))
        at += 12 + size
    return b"".join(chunks)


def fuzz(form: str, files: Sequence[bytes], count: int, seed: int) -> Result:
    """Judge so many changed files of a format; the same seed gives the same files."""
    plan = make_plan({"provenance": load_card(installed.MODELS / "provenance.toml")})
    random, source, result = Random(f"{form} {seed}"), Memory(), Result()  # noqa: S311 - to repeat
    with Sandbox(plan, LIMITS) as sandbox:
        # So that no file's time has the start of the process in it.
        source.data = files[0]
        sandbox.judge(source, BatchImage(0, b"image", len(source.data)))
        for number in range(count):
            source.data = mutated(random, files)
            started = time.monotonic()
            verdict = sandbox.judge(source, BatchImage(number, b"image", len(source.data)))
            result.slowest_s = max(result.slowest_s, time.monotonic() - started)
            kind = _kind(verdict)
            result.outcomes[kind] += 1
            if kind in BAD:
                result.bad.append((kind, source.data))
            if number % 100 == 0 or number == count - 1:
                result.peak_mb = max(result.peak_mb, _peak_mb(sandbox))
    return result


def _kind(verdict: Verdict) -> str:
    return "decoded" if verdict.error is None else verdict.error.kind


def _peak_mb(sandbox: Sandbox) -> int:
    """Return the most memory that the sandbox's process has used; 0 where that is unknown."""
    process = sandbox._process  # noqa: SLF001 - nothing else needs it
    if process is None:
        return 0
    status = Path(f"/proc/{process.popen.pid}/status")
    found = re.search(r"VmHWM:\s+(\d+)", status.read_text()) if status.exists() else None
    return int(found[1]) // 1024 if found else 0


def table(results: Mapping[str, Result]) -> str:
    """Return a Markdown table of the results."""
    lines = [
        "| format | inputs | decoded | refused | crashes | hangs | internal | slowest | peak |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for form, result in sorted(results.items()):
        counts = result.outcomes
        decoded, bad = counts["decoded"], [counts[kind] for kind in BAD]
        inputs = counts.total()
        numbers = (inputs, decoded, inputs - decoded - sum(bad), *bad)
        shown = " | ".join(f"{number:,}" for number in numbers)
        lines.append(f"| {form} | {shown} | {result.slowest_s:.1f} s | {result.peak_mb} MB |")
    return "\n".join(lines)


def main() -> None:
    """Run it for each format."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--count", type=int, default=1000, help="files of each format")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--formats", help="comma-separated; all that there are files of")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir(), "fuzz"))
    options = parser.parse_args()
    found = seeds(options.folders)
    results = {}
    for form in options.formats.split(",") if options.formats else sorted(found):
        results[form] = fuzz(form, found[form], options.count, options.seed)
        for number, (kind, data) in enumerate(results[form].bad):
            options.keep.mkdir(parents=True, exist_ok=True)
            (options.keep / f"{form}-{options.seed}-{number}-{kind}").write_bytes(data)
        print(table({form: results[form]}).splitlines()[-1], flush=True)
    print(f"\nseed {options.seed}, {os.cpu_count()} cores\n\n{table(results)}")


if __name__ == "__main__":
    main()
