"""Count the instructions that each stage of an image takes on arm64, where no such machine is.

    python benchmarks/instructions.py --data FOLDER --root ROOT --python PATH [--packages FOLDER]

ROOT is the folder of an arm64 system, and PATH, below it, a Python with the packages of
requirements/worker.txt, unless they are in another FOLDER; the code is this checkout's. It runs
under QEMU (`qemu-aarch64` of Debian's `qemu-user`, which loads plug-ins; that of
`qemu-user-static` does not) with the plug-in `count_instructions.c`, made by `cc`. FOLDER of
--data holds cifake-test.zip, scenes.zip and faces.zip.

Prints a line of JSON for each stage: millions of instructions an image, of a tiny image and of a
photograph of 12 megapixels, every third with a face. Counts hardly depend on what else a machine
does, and say nothing of time: processors take one to three of them in a cycle, a NEON instruction
counts as one, and memory is not waited for. A stage does not count what another one within it does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from functools import wraps
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arm64 import CORE, QEMU_CPU

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve()
MEGAPIXELS = 12
# As many tiny images as a transaction has.
TINY = 64
MARK = "instructions "


def instrumented(function: Callable[..., Any], stage: str, log: list[str]) -> Callable[..., Any]:
    """Return a function that notes its stage, and marks its begin and end among the counts."""

    @wraps(function)
    def marked(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the function's own
        log.append(stage)
        os.getppid()
        try:
            result = function(*arguments, **options)
            # A generator works when it is asked.
            return list(result) if isinstance(result, Iterator) else result
        finally:
            log.append("")
            os.getppid()

    return marked


def judge(files: list[str]) -> None:
    """Judge images, in a process whose instructions are counted; print the stages in order."""
    from scanner.detectors.plan import plan_for  # noqa: PLC0415 - the other process needs none
    from storage.records import BatchImage  # noqa: PLC0415
    from workers import marks, provenance  # noqa: PLC0415
    from workers.detectors.runtimes import LiteRT  # noqa: PLC0415
    from workers.detectors.sessions import TfLite  # noqa: PLC0415
    from workers.images.faces import FaceFinder  # noqa: PLC0415
    from workers.limits import Limits  # noqa: PLC0415
    from workers.pipeline import inputs, pipeline  # noqa: PLC0415
    from workers.sources.files import FileSource  # noqa: PLC0415

    log: list[str] = []
    for stage, owner, name in (
        ("all else", pipeline.Pipeline, "chunk"),
        ("reading, SHA-256", FileSource, "fetch"),
        ("metadata", provenance, "read"),
        ("decoding", pipeline, "decode"),
        ("marks", marks, "read"),
        ("is it a photograph, is it degraded", inputs, "out_of_domain"),
        ("crops", inputs.InputSelector, "_crops"),
        ("search for faces", FaceFinder, "find"),
        ("networks", TfLite, "run"),
        ("networks", LiteRT, "run"),
    ):
        setattr(owner, name, instrumented(getattr(owner, name), stage, log))
    judging = pipeline.make_pipeline(plan_for(None), Limits().max_pixels)
    source = FileSource(Limits().max_bytes)
    images = [BatchImage(n, os.fsencode(file), 0) for n, file in enumerate(files)]
    for _ in range(2):  # what is loaded for the first image does not count
        log.clear()
        print("again", file=sys.stderr, flush=True)
        left = images
        while left:
            left = left[len(judging.chunk(source, left)) :]
    print(json.dumps(log))


def by_stage(log: list[str], counts: list[int]) -> Counter[str]:
    """Return the instructions of each stage without those of stages within it."""
    found: Counter[str] = Counter()
    inside: list[str] = []
    before = counts[0]
    for stage, count in zip(log, counts, strict=True):
        if inside:
            found[inside[-1]] += count - before
        before = count
        if stage:
            inside.append(stage)
        else:
            inside.pop()
    return found


def counted(command: list[str], packages: Path | None, files: list[Path]) -> Counter[str]:
    """Judge files by a command that counts; return the instructions of each stage."""
    path = os.pathsep.join(str(each) for each in (HERE.parents[1], packages) if each is not None)
    done = subprocess.run(
        [*command, str(HERE), "--judge", *map(str, files)],
        env=os.environ | {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    lines = done.stderr.rpartition("again\n")[2].splitlines()
    counts = [int(line.removeprefix(MARK)) for line in lines if line.startswith(MARK)]
    return by_stage(json.loads(done.stdout), counts)


def plugin(folder: Path) -> Path:
    """Return the plug-in, compiled."""
    made = folder / "count.so"
    source = HERE.with_name("count_instructions.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(made), str(source)], check=True)
    return made


def main() -> None:
    """Count, and print a line of JSON for each stage."""
    if sys.argv[1:2] == ["--judge"]:
        judge(sys.argv[2:])
        return
    from photographs import write_photographs  # noqa: PLC0415 - the other process needs none

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--python", required=True)
    parser.add_argument("--packages", type=Path)
    parser.add_argument("--photos", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="instructions-") as name:
        folder = Path(name)
        # See `arm64.py`. QEMU takes files of the root before those of the machine.
        described = given.root / "proc" / "cpuinfo"
        if not described.exists():
            described.write_text(CORE.format(0))
        command = ["qemu-aarch64", "-cpu", QEMU_CPU, "-plugin", str(plugin(folder))]
        command += ["-L", str(given.root), str(given.root / given.python)]
        with zipfile.ZipFile(given.data / "cifake-test.zip") as archive:
            names = (one for one in archive.namelist() if one.endswith(".jpg"))
            tiny = [Path(archive.extract(one, folder)) for one in islice(names, TINY)]
        (folder / "photographs").mkdir()
        write_photographs(given.data, folder / "photographs", MEGAPIXELS, given.photos)
        photos = sorted((folder / "photographs").iterdir())
        sides = {"tiny, millions": tiny, "photograph, millions": photos}
        found = {
            side: Counter(
                {
                    stage: count // len(files)
                    for stage, count in counted(command, given.packages, files).items()
                }
            )
            for side, files in sides.items()
        }
    for stage, _ in found["photograph, millions"].most_common():
        row = {side: round(counts[stage] / 1e6, 2) for side, counts in found.items()}
        print(json.dumps({"stage": stage, **row}))


if __name__ == "__main__":
    main()
