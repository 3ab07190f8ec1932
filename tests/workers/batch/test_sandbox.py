"""The sandbox: an image that kills, hangs or takes over its process harms nothing else."""

from __future__ import annotations

import io
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from storage.paths import to_wire
from storage.records import (
    BatchImage,
    ErrorKind,
    ImageError,
    Outcome,
    Plan,
    PlannedDetector,
    Sidecar,
    Thresholds,
    Verdict,
)
from workers import limited_process
from workers.batch import sandbox
from workers.batch.sandbox import Sandbox, SandboxError
from workers.broker.field_types import MessageError
from workers.detectors import installed
from workers.detectors.card import load_card
from workers.limits import Limits
from workers.pipeline.plan import make_plan
from workers.sources.files import FileSource
from workers.sources.local import LocalSource
from workers.sources.source import SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers.limited_process import LimitedProcess

PLAN = make_plan({"provenance": load_card(installed.MODELS / "provenance.toml")})
LIMITS = Limits(image_seconds=60.0, sandbox_bytes=2 * 2**30)
# What the child does, in place of decoding, with a picture that says so: no decoder is known to do
# these things, and one that is found to will be mended.
EVIL = """
import os, sys, time
import workers.pipeline.pipeline

decode = workers.pipeline.pipeline.decode

def everywhere(line):
    # The pipe to the parent is among the open files.
    for number in range(3, 30):
        try:
            os.write(number, line)
        except OSError:
            pass

def evil(data, **how):
    if b"EVIL once" in data and not os.path.exists("ONCE"):
        os.abort()
    if b"EVIL abort" in data:
        os.abort()
    if b"EVIL exit" in data:
        os._exit(0)
    if b"EVIL hang" in data:
        time.sleep(600)
    if b"EVIL loop" in data:
        while True:
            pass
    if b"EVIL memory" in data:
        bytearray(3 << 30)
    if b"EVIL print" in data:
        os.write(1, b"a native library says hello\\n")
    if b"EVIL nonsense" in data:
        everywhere(b"{]\\n")
    if b"EVIL number" in data:
        everywhere(b"5\\n")
    if b"EVIL lie" in data:
        everywhere(
            b'{"verdict": {"image": 1, "outcome": "no_evidence", "score": null, "detector": null,'
            b' "examined": true, "findings": [], "error": null, "digest": null,'
            b' "us": [0, 0, 0]}}\\n'
        )
    if b"EVIL drip" in data:
        everywhere(b"{")
        time.sleep(600)
    if b"EVIL flood" in data:
        while True:
            everywhere(b"x" * 4096)
    return decode(data, **how)

workers.pipeline.pipeline.decode = evil
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder for images, some of which do harm in the sandbox."""
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    # Python imports a module of this name when it starts.
    (hooks / "sitecustomize.py").write_text(EVIL.replace("ONCE", str(hooks / "done-once")))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(hooks), str(limited_process.HOME)]))
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


@pytest.fixture
def opened() -> Iterator[Sandbox]:
    """Return a sandbox that has not started its process yet."""
    with Sandbox(PLAN, LIMITS) as created:
        yield created


def put(folder: Path, number: int, says: str = "nothing", settings: str = "") -> BatchImage:
    """Write an image with metadata, under a name that is not UTF-8."""
    info = PngInfo()
    if settings:
        info.add_text("parameters", settings)
    info.add_text("Comment", f"EVIL {says}")
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "PNG", pnginfo=info)
    path = b"caf\xe9-%d.png" % number
    Path(os.fsdecode(os.fsencode(folder) + b"/" + path)).write_bytes(file.getvalue())
    return BatchImage(number, path, len(file.getvalue()))


def judge(opened: Sandbox, folder: Path, *images: BatchImage) -> list[Verdict]:
    """Return the verdicts on some images of the folder."""
    root = LocalSource(folder)
    try:
        return [opened.judge(root, image) for image in images]
    finally:
        root.close()


def kind(verdict: Verdict) -> ErrorKind | None:
    """Return the error of an image."""
    return None if verdict.error is None else verdict.error.kind


def pid(opened: Sandbox) -> int | None:
    """Return the sandbox's process."""
    return None if opened._process is None else opened._process.popen.pid


def test_one_process_for_good_images(opened: Sandbox, folder: Path) -> None:
    """Good images share a process, and native output is not taken for an answer."""
    first, printing = put(folder, 1), put(folder, 2, "print")
    root = LocalSource(folder)
    # Cautious work is first_verdict image a transaction.
    (first_verdict,) = opened.chunk(root, [first, printing], print)
    process = pid(opened)
    (second_verdict,) = opened.chunk(root, [printing], print)
    root.close()

    assert [(1, Outcome.NO_EVIDENCE), (2, Outcome.NO_EVIDENCE)] == [
        (verdict.image_id, verdict.outcome) for verdict in (first_verdict, second_verdict)
    ]
    assert ["too_small"] == [finding.kind for finding in first_verdict.findings]
    assert process == pid(opened)


@pytest.mark.parametrize("by_parent", [False, True])
def test_sidecars(opened: Sandbox, folder: Path, by_parent: bool) -> None:  # noqa: FBT001
    """Sidecars are read in the sandbox too, by itself or by its parent."""
    settings = b"a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1"
    (folder / "settings.txt").write_bytes(settings)
    listed = (Sidecar(b"settings.txt", len(settings), 1), Sidecar(b"gone.xmp", 5, 1))
    image = replace(put(folder, 1), sidecars=listed)
    root = FileSource(2**20) if by_parent else LocalSource(folder)
    if by_parent:
        image = replace(image, path=os.fsencode(folder) + b"/" + image.path)

    verdict = opened.judge(root, image)

    assert Outcome.AI is verdict.outcome
    found = [f.kind for f in verdict.findings if f.detector == "provenance"]
    assert ["generator_tag", "sidecar_unreadable"] == found


def test_only_files_of_the_image_are_read_for_the_sandbox(folder: Path) -> None:
    """A sandbox that an image has taken over gets no file but the image and its sidecars."""
    image = replace(put(folder, 1), sidecars=(Sidecar(b"a.xmp", 1, 1),))
    with LocalSource(folder) as root:
        for path in (b"b.xmp", image.path + b".xmp", b"../" + image.path, b"/etc/passwd"):
            question = sandbox._Question(to_wire(path), None)
            with pytest.raises(MessageError, match="about the image"):
                sandbox._read(root, image, question)


def test_bad_images_are_reported(opened: Sandbox, folder: Path) -> None:
    """An image that can be rejected safely is an error, and costs no process."""
    cut = put(folder, 1)
    Path(os.fsdecode(os.fsencode(folder) + b"/" + cut.path)).write_bytes(b"no picture")
    huge = put(folder, 2, "memory")
    verdicts = judge(opened, folder, BatchImage(1, cut.path, 10), huge)
    process = pid(opened)
    (after,) = judge(opened, folder, put(folder, 3))

    assert [ErrorKind.NOT_AN_IMAGE, ErrorKind.TOO_LARGE] == [kind(verdict) for verdict in verdicts]
    assert ImageError(ErrorKind.TOO_LARGE, "not enough memory") == verdicts[1].error
    assert Outcome.NO_EVIDENCE == after.outcome
    assert process == pid(opened)


@pytest.mark.parametrize("harm", ["exit", "nonsense", "lie", "flood"])
def test_crashed(opened: Sandbox, folder: Path, harm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that ends its process, or makes it answer nonsense, is `crashed`."""
    monkeypatch.setattr(limited_process, "MAX_ANSWER_BYTES", 100_000)
    monkeypatch.setattr(sandbox, "TRIES", 1)
    judge(opened, folder, put(folder, 1))
    before = pid(opened)
    (verdict,) = judge(opened, folder, put(folder, 5, harm))

    assert (5, Outcome.ERROR, ErrorKind.CRASHED) == (
        verdict.image_id, verdict.outcome, kind(verdict)
    )  # fmt: skip
    # Its metadata was read by another process.
    assert None is not pid(opened) != before


@pytest.mark.parametrize("harm", ["hang", "drip"])
def test_timeout(folder: Path, harm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image whose time runs out is `timeout`."""
    monkeypatch.setattr(sandbox, "TRIES", 1)
    with Sandbox(PLAN, replace(LIMITS, image_seconds=1.0)) as hasty:
        process = hasty._start(LocalSource(folder))
        (verdict,) = judge(hasty, folder, put(folder, 5, harm))

    assert (5, Outcome.ERROR, ErrorKind.TIMEOUT) == (
        verdict.image_id, verdict.outcome, kind(verdict)
    )  # fmt: skip
    assert process.popen.poll() is not None


def test_a_loop_ends_without_a_parent(folder: Path) -> None:
    """The kernel ends a child without a parent whose image loops endlessly."""
    image = put(folder, 5, "loop")
    # Less than nothing, of what is added to it, so that the test takes two seconds.
    limits = replace(LIMITS, image_seconds=1.0 - limited_process.SPARE_CPU_SECONDS)
    with Sandbox(PLAN, limits) as orphaned, LocalSource(folder) as root:
        process = orphaned._start(root)
        process.send(sandbox._Request(image))

        assert -signal.SIGXCPU == process.popen.wait(timeout=30)


def test_two_tries_and_the_next_image(opened: Sandbox, folder: Path) -> None:
    """An image has two tries; the next image is judged in a new process."""
    bad, after = put(folder, 2, "abort"), put(folder, 3)
    starts = []
    start = opened._start

    def counted(root: LocalSource) -> LimitedProcess:
        starts.append(root)
        return start(root)

    opened._start = counted  # type: ignore[method-assign]
    verdicts = judge(opened, folder, bad, after)

    assert [ErrorKind.CRASHED, None] == [kind(verdict) for verdict in verdicts]
    assert 3 == len(starts)


def test_metadata_of_a_crashing_image_settles_it(opened: Sandbox, folder: Path) -> None:
    """An image that names its generator is `ai` with the error beside, if its pixels crash."""
    settings = "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1"
    (verdict,) = judge(opened, folder, put(folder, 1, "abort", settings))

    assert (Outcome.AI, ErrorKind.CRASHED) == (verdict.outcome, kind(verdict))
    assert ["generator_tag"] == [finding.kind for finding in verdict.findings]


def test_second_try_succeeds(opened: Sandbox, folder: Path) -> None:
    """A process may die once for other reasons: the image is tried again."""
    kill = opened._kill

    def kill_and_note() -> None:
        # The process itself can write nothing.
        (folder.parent / "hooks" / "done-once").touch()
        kill()

    opened._kill = kill_and_note  # type: ignore[method-assign]
    (verdict,) = judge(opened, folder, put(folder, 1, "once"))

    assert None is kind(verdict)
    assert Outcome.NO_EVIDENCE == verdict.outcome


def test_collection_unmounted(opened: Sandbox, folder: Path) -> None:
    """An unmounted collection is not an image's error, and its replacement is opened."""
    image = put(folder, 1)
    root = LocalSource(folder)
    opened.judge(root, image)
    away = folder.with_name("away")
    for file in list(folder.iterdir()):
        file.unlink()
    with pytest.raises(SourceUnavailable, match="is empty"):
        opened.judge(root, image)
    root.close()
    folder.rename(away)
    folder.mkdir()
    put(folder, 1)
    (verdict,) = judge(opened, folder, image)

    assert Outcome.NO_EVIDENCE == verdict.outcome


def test_missing_detectors(folder: Path) -> None:
    """A sandbox that does not start is an error of its own, not of the image."""
    plan = Plan((PlannedDetector("nowhere", "1", "", Thresholds(0.5, 0.9)),))
    with Sandbox(plan, LIMITS) as opened, pytest.raises(SandboxError, match="does not start"):
        judge(opened, folder, put(folder, 1))


def test_no_module_of_the_folder(
    opened: Sandbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `json.py` in the working folder is not imported, and no process is left."""
    (folder / "json.py").write_text("raise SystemExit('run')")
    monkeypatch.chdir(folder)
    with opened:
        (verdict,) = judge(opened, folder, put(folder, 1))
        process = opened._process

    assert Outcome.NO_EVIDENCE == verdict.outcome
    assert process is not None
    assert process.popen.poll() is not None
