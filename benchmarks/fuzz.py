"""Give the readers of metadata, pixels and sidecars damaged files, in a worker's confined process.

Valid files are changed at random, and judged as a worker judges an image that has killed another:
`python benchmarks/fuzz.py --count 100000 FOLDER...` makes so many of each kind, from the files of
`tests/cases`, of these folders and own ones. The kinds are formats of images, RAW files, sidecars
by their extension, and settings hidden in pixels. The same `--seed` gives the same files, a
thousand with each number from it on. What kills the process, hangs or is an internal error is kept
in `--keep`, and so is what was done, so that a run goes on where the last one was stopped: by
default those whose blocks are in the repository. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

import marked_images
import raw_files
import sidecar_files

from storage.records import BatchImage, ErrorKind, Sidecar
from workers.batch.sandbox import Sandbox
from workers.detectors import installed
from workers.detectors.card import load_card
from workers.images.formats import identify
from workers.limits import Limits
from workers.marks import invisible
from workers.marks.catalogue import MARKS
from workers.pipeline.plan import make_plan
from workers.sources.source import Fetched

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from storage.records import Verdict

KEPT = Path(__file__).parent / "measured" / "fuzz"
CASES = Path(__file__).parents[1] / "tests" / "cases"
# Larger files would have most of their changes in the pixels.
MAX_SEED_BYTES = 200_000
# What an image may take before it counts as one that hangs.
LIMITS = Limits(image_seconds=30.0, sandbox_bytes=2 * 2**30)
BAD = (ErrorKind.CRASHED, ErrorKind.TIMEOUT, ErrorKind.INTERNAL)
RAW, HIDDEN = "RAW", "hidden settings"
# Inputs of one process, after which its memory is measured and the result is kept.
BLOCK = 1000
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
    """What became of the inputs of one kind."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    peak_mb: int = 0
    bad: list[tuple[str, bytes]] = field(default_factory=list)

    def add(self, other: Result) -> None:
        """Add what became of further inputs."""
        self.outcomes += other.outcomes
        self.slowest_s = max(self.slowest_s, other.slowest_s)
        self.peak_mb = max(self.peak_mb, other.peak_mb)
        self.bad += other.bad


class Memory:
    """A source with one image and one sidecar."""

    def __init__(self) -> None:
        self.data = self.sidecar = b""

    def image(self, number: int, kind: str) -> BatchImage:
        """Return the image as it is listed, with its sidecar if its kind is an extension."""
        listed = Sidecar(b"image" + kind.encode(), len(self.sidecar), 0)
        sidecars = (listed,) if kind.startswith(".") else ()
        return BatchImage(number, b"image.png", len(self.data), sidecars)

    def fetch(self, _path: bytes, _expected_bytes: int | None = None) -> Fetched:
        """Return the file."""
        return Fetched(self.data, sha256(self.data).digest())

    def fetch_sidecar(self, _image: bytes, _sidecar: Sidecar) -> bytes:
        """Return the sidecar."""
        return self.sidecar


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


def marked() -> Iterator[bytes]:
    """Yield images with marks in their pixels, in formats that keep them."""
    plain, packed = (marked_images.A1111.encode(), gzip.compress(marked_images.A1111.encode()))
    bits = [int(bit) for bit in invisible.MESSAGES[0].bits]
    height = 24
    for image in (
        marked_images.hide(b"stealth_rgbinfo", plain),
        marked_images.hide(b"stealth_pngcomp", packed),
        marked_images.embed(marked_images.texture(1, 256), bits),
        marked_images.lay(
            marked_images.scene((320, 320)), MARKS[0], height, MARKS[0].place, opacity=0.5
        ),
    ):
        for form in ("PNG", "TIFF", "WEBP", *(["BMP"] if image.mode == "RGB" else [])):
            file = BytesIO()
            image.save(file, form, **({"lossless": True} if form == "WEBP" else {}))
            yield file.getvalue()


def jpeg_xl() -> Iterator[bytes]:
    """Yield JPEG XL files with and without a container; none without the library that writes it."""
    try:
        import imagecodecs  # noqa: PLC0415 - an extra
    except ImportError:
        return
    pixels = np.random.default_rng(1).integers(0, 255, (50, 70, 3), dtype=np.uint8)
    for options in ({"lossless": True}, {"distance": 2.0}, {"usecontainer": True}):
        yield bytes(imagecodecs.jpegxl_encode(pixels, **options))


def sidecars() -> dict[str, list[bytes]]:
    """Return sidecars by their extension."""
    settings = sidecar_files.SETTINGS
    creator = "<xmp:CreatorTool>Adobe Firefly</xmp:CreatorTool>"
    return {
        ".xmp": [
            sidecar_files.packet(sidecar_files.GENERATED),
            sidecar_files.packet(creator),
            sidecar_files.packet(f"<dc:description>{settings}</dc:description>"),
        ],
        ".txt": [settings.encode(), settings.encode("utf-16"), marked_images.A1111.encode()],
        ".json": [
            sidecar_files.takeout(title="image.png", description=settings),
            json.dumps({"prompt": "a cat", "steps": 20, "sampler": "Euler a"}).encode(),
            json.dumps({"sui_image_params": {"prompt": "x", "steps": 20}}).encode(),
        ],
    }


def seeds(folders: Sequence[Path]) -> dict[str, list[bytes]]:
    """Return valid files by kind: those made here, the test cases and those of the folders."""
    found: dict[str, list[bytes]] = defaultdict(list)
    files = [path for folder in (CASES, *folders) for path in sorted(folder.rglob("*"))]
    small = (path for path in files if path.is_file() and path.stat().st_size < MAX_SEED_BYTES)
    for data in (*drawn(), *marked(), *jpeg_xl(), *(path.read_bytes() for path in small)):
        form = identify(data)
        if form is not None and (form.decodable or form.raw):
            found[RAW if form.raw else form.name].append(data)
    found[RAW] += raw_files.RAWS.values()
    text = marked_images.A1111.encode()
    return found | sidecars() | {HIDDEN: [text, gzip.compress(text)]}


def mutated(random: Random, files: Sequence[bytes]) -> bytes:
    """Return one of the files, changed in one to eight places."""
    data = bytearray(random.choice(files))
    for _ in range(random.choice((1, 1, 2, 4, 8))):
        if not data:
            break
        # Headers and metadata come first in most formats, and last in some.
        first, last = random.choice(((0, 600), (0, len(data)), (len(data) - 600, len(data))))
        at = random.randrange(max(first, 0), min(last, len(data)))
        length = random.choice((1, 2, 4, 16, 200))
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


def fill(source: Memory, random: Random, kind: str, files: Sequence[bytes]) -> None:
    """Put the next input of a kind into the source."""
    changed = mutated(random, files)
    if kind.startswith("."):
        source.sidecar = changed
    elif kind == HIDDEN:
        name = random.choice((b"stealth_pnginfo", b"stealth_pngcomp", b"stealth_rgbinfo"))
        length = random.choice((-1, -1, -1, random.getrandbits(random.choice((8, 24, 32)))))
        size = random.choice(((96, 80), (7, 400), (1, 9)))
        file = BytesIO()
        marked_images.hide(name, changed, size, length).save(file, "PNG", compress_level=1)
        source.data = file.getvalue()
    else:
        source.data = changed


def fuzz(kind: str, files: Sequence[bytes], count: int, seed: int) -> Result:
    """Judge so many changed files of a kind; the same seed gives the same files."""
    names = ("provenance", "marks")
    plan = make_plan({name: load_card(installed.MODELS / f"{name}.toml") for name in names})
    random, source, result = Random(f"{kind} {seed}"), Memory(), Result()  # noqa: S311 - to repeat
    with Sandbox(plan, LIMITS) as sandbox:
        # So that no file's time has the start of the process in it.
        source.data = next(drawn()) if kind.startswith(".") or kind == HIDDEN else files[0]
        sandbox.judge(source, BatchImage(0, b"image.png", len(source.data)))
        for number in range(count):
            fill(source, random, kind, files)
            image = source.image(number, kind)
            started = time.monotonic()
            verdict = sandbox.judge(source, image)
            result.slowest_s = max(result.slowest_s, time.monotonic() - started)
            outcome = _outcome(verdict, kind)
            result.outcomes[outcome] += 1
            if outcome in BAD:
                result.bad.append((outcome, source.sidecar or source.data))
            if number % 100 == 0 or number == count - 1:
                result.peak_mb = max(result.peak_mb, _peak_mb(sandbox))
    return result


def _outcome(verdict: Verdict, kind: str) -> str:
    """Return "read", the kind of the image's error, or "ignored" for what the file only holds."""
    if verdict.error is not None:
        return verdict.error.kind
    if kind == HIDDEN:
        is_read = any(finding.detector == "marks" for finding in verdict.findings)
    elif kind.startswith("."):
        is_read = any("sidecar" in finding.detail for finding in verdict.findings)
    else:
        is_read = True
    return "read" if is_read else "ignored"


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
        "| kind | inputs | read | refused or ignored | crashes | hangs | bugs | slowest | peak |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    total = Result()
    for result in results.values():
        total.add(result)
    for kind, result in [*sorted(results.items()), ("all", total)]:
        counts = result.outcomes
        read, bad = counts["read"], [counts[kind] for kind in BAD]
        inputs = counts.total()
        numbers = (inputs, read, inputs - read - sum(bad), *bad)
        shown = " | ".join(f"{number:,}" for number in numbers)
        lines.append(f"| {kind} | {shown} | {result.slowest_s:.1f} s | {result.peak_mb} MB |")
    return "\n".join(lines)


class Kept:
    """What was done so far, a line in a file for each block, and the inputs that were bad."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._file = folder, folder / "blocks.jsonl"
        self.results: dict[str, Result] = defaultdict(Result)
        self._file.touch()
        for line in self._file.read_text().splitlines():
            block = json.loads(line)
            outcomes = Counter(block["outcomes"])
            result = Result(outcomes, block["slowest_s"], block["peak_mb"])
            self.results[block["kind"]].add(result)

    def inputs(self, kind: str) -> int:
        """Return the number of inputs of a kind so far."""
        return self.results[kind].outcomes.total()

    def keep(self, kind: str, seed: int, result: Result) -> None:
        """Add a block, and write the inputs that were bad."""
        for number, (outcome, data) in enumerate(result.bad):
            name = f"{kind.strip('.').replace(' ', '-')}-{seed}-{number}-{outcome}"
            (self._folder / name).write_bytes(data)
        block = {
            "kind": kind,
            "seed": seed,
            "outcomes": result.outcomes,
            "slowest_s": round(result.slowest_s, 2),
            "peak_mb": result.peak_mb,
        }
        with self._file.open("a") as file:
            file.write(json.dumps(block) + "\n")
        self.results[kind].add(result)


def main() -> None:
    """Run it, a block of each kind after the other, until there are so many inputs of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--count", type=int, default=1000, help="inputs of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--formats", help="comma-separated; all that there are files of")
    parser.add_argument("--keep", type=Path, default=KEPT)
    options = parser.parse_args()
    found = seeds(options.folders)
    kinds = options.formats.split(",") if options.formats else sorted(found)
    kept = Kept(options.keep)
    while (kind := min(kinds, key=kept.inputs)) and kept.inputs(kind) < options.count:
        done = kept.inputs(kind)
        seed = options.seed + done // BLOCK
        result = fuzz(kind, found[kind], min(BLOCK, options.count - done), seed)
        kept.keep(kind, seed, result)
        print(f"{kind}: {kept.inputs(kind)} of {options.count}, {len(result.bad)} bad", flush=True)
    print(f"\nseed {options.seed}, {os.cpu_count()} cores\n\n{table(kept.results)}")


if __name__ == "__main__":
    main()
