"""Compare a scan with other ways to score the images of a folder on one machine.

    pip install 'scanner[train]' 'ray[data]'
    python benchmarks/alternatives.py --data FOLDER [NAME …] [--images N] [--rounds 3]

FOLDER holds cifake-test.zip and faces.zip. The sides of a comparison score the same JPEGs and take
turns, each in processes of its own that use all cores; trust the ratios of the medians. Seconds are
those from the first file to the last result; Python's imports and the loading of models come on
top everywhere. Networks of the student report have random weights, which are as fast as others.

- `ray`: Ray Data reads, scores with the int8 model of `objects-32`, and writes Parquet.
- `keras`: the student report's way, a data set of Keras from the folder and VGG16 at 32 pixels.
- `faces-32`, `faces-224`: its way with faces, MobileNet at either size; the scan has the same
  network as an int8 detector that takes whole images, without a search for faces.

A scan does more: metadata, names, marks, digests, and a store that survives a crash.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from throughput import scan

from workers.detectors import installed
from workers.detectors.runtimes import LiteRT

if TYPE_CHECKING:
    from collections.abc import Callable

CORES = os.cpu_count() or 1
BATCH = 32  # as Keras' data sets have it, and the student report
DETECTOR = "mobilenet"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A data set, how many of its images are scored at what size, and what scores them."""

    file: str
    images: int
    size: int
    other: Callable[[Path, int], float]
    own_network: bool = False


def by_ray(folder: Path, _size: int) -> float:
    """Score a folder by Ray Data with the model of `objects-32`; return the seconds."""
    import ray  # noqa: PLC0415 - only this side needs it

    class Scorer:
        def __init__(self) -> None:
            self._model = LiteRT(installed.installed()["objects-32"].model_path)

        def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            return {"path": batch["path"], "score": self._model.run(list(batch["image"]))}

    ray.init(num_cpus=CORES, log_to_driver=False, include_dashboard=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    with tempfile.TemporaryDirectory() as results:
        began = time.perf_counter()
        images = ray.data.read_images(str(folder), include_paths=True, mode="RGB")
        # Half a core each: with whole ones nothing is left to read the images with.
        scored = images.map_batches(Scorer, batch_size=500, concurrency=CORES, num_cpus=0.5)
        scored.write_parquet(results)
        took = time.perf_counter() - began
    ray.shutdown()
    return took


def by_keras(make: Callable[[int], Any], folder: Path, size: int) -> float:
    """Score a folder with a network of Keras; return the seconds."""
    import keras  # noqa: PLC0415 - only this side needs it

    network = make(size)
    network.predict(np.zeros((BATCH, size, size, 3)), verbose=0)
    began = time.perf_counter()
    images = keras.utils.image_dataset_from_directory(
        str(folder), labels=None, image_size=(size, size), batch_size=BATCH, shuffle=False
    )
    network.predict(images, verbose=0)
    return time.perf_counter() - began


def vgg16(size: int) -> Any:  # noqa: ANN401 - a model of Keras
    """Return VGG16 with the student report's head."""
    import keras  # noqa: PLC0415
    from keras import layers  # noqa: PLC0415

    base = keras.applications.VGG16(weights=None, include_top=False, input_shape=(size, size, 3))
    head = [layers.Flatten(), layers.Dense(512, "relu"), layers.Dense(1)]
    return keras.Sequential([keras.Input((size, size, 3)), layers.Rescaling(1 / 255), base, *head])


def mobilenet(size: int) -> Any:  # noqa: ANN401 - a model of Keras
    """Return MobileNet with the student report's head, which ends in one logit here."""
    import keras  # noqa: PLC0415
    from keras import layers  # noqa: PLC0415

    base = keras.applications.MobileNet(
        weights=None, include_top=False, input_shape=(size, size, 3)
    )
    widths = (1024, 256, 128, 16)
    head = [layers.Flatten(), *(layers.Dense(width, "relu") for width in widths), layers.Dense(1)]
    return keras.Sequential([keras.Input((size, size, 3)), layers.Rescaling(1 / 255), base, *head])


COMPARISONS = {
    "ray": Comparison("cifake-test.zip", 10_000, 32, by_ray),
    "keras": Comparison("cifake-test.zip", 10_000, 32, partial(by_keras, vgg16)),
    "faces-32": Comparison("faces.zip", 10_905, 32, partial(by_keras, mobilenet), True),
    "faces-224": Comparison("faces.zip", 2_000, 224, partial(by_keras, mobilenet), True),
}


def export(size: int, folder: Path, path: Path) -> None:
    """Write the report's network for faces as int8."""
    from workers.training import environment  # noqa: PLC0415

    environment.prepare()
    from workers.training.export.tflite import export_int8  # noqa: PLC0415

    files = sorted(folder.rglob("*.jpg"))[:100]
    images = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
    export_int8(mobilenet(size), images, path)


def by_scan(folder: Path, home: Path, detector: str | None) -> float:
    """Scan a folder with a new store; return the seconds of its report."""
    options = () if detector is None else ("--detectors", detector)
    report, _ = scan(folder, home, *options)
    if report["verdicts"]["pending"] or report["verdicts"]["error"]:
        raise RuntimeError(f"it did not do its work: {report['verdicts']}")
    return float(report["seconds"])


def add_detector(file: Path) -> None:
    """Add the network of a file as a detector."""
    argv = [sys.executable, "-m", "scanner", "detectors", "add", str(file), "--name", DETECTOR]
    options = ["--classes", "REAL,FAKE", "--output", "logits", "--scale", "1"]
    subprocess.run([*argv, *options], check=True, stdout=subprocess.DEVNULL)


def in_a_process(work: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the work returns
    """Do something in a process of its own, which ends with all that it has loaded."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work)


def write_images(data: Path, wanted: Comparison, folder: Path) -> None:
    """Write so many images of the data set, at the wanted size, each as often as needed."""
    folder.mkdir()
    with zipfile.ZipFile(data / wanted.file) as archive:
        names = [name for name in archive.namelist() if name.endswith((".jpg", ".png"))]
        for number, name in enumerate(islice(cycle(names), wanted.images)):
            to = folder / f"{number:05}.jpg"
            image = Image.open(BytesIO(archive.read(name))).convert("RGB")
            if image.width == image.height == wanted.size and name.endswith(".jpg"):
                to.write_bytes(archive.read(name))
            else:
                image.resize((wanted.size, wanted.size)).save(to, quality=90)


def compare(name: str, given: argparse.Namespace, home: Path) -> dict[str, Any]:
    """Run one comparison; return its row."""
    wanted = COMPARISONS[name]
    if given.images:
        wanted = replace(wanted, images=given.images)
    folder, detector = home / "pictures", None
    write_images(given.data, wanted, folder)
    if wanted.own_network:
        detector, file = DETECTOR, home / "mobilenet.tflite"
        in_a_process(partial(export, wanted.size, folder, file))
        # Where detectors are kept, for this process and for the scans.
        os.environ["XDG_DATA_HOME"] = str(home)
        add_detector(file)
    ours, others = [], []
    for _ in range(given.rounds):
        others.append(wanted.images / in_a_process(partial(wanted.other, folder, wanted.size)))
        ours.append(wanted.images / by_scan(folder, home, detector))
        print(f"{name}: {others[-1]:.0f} {ours[-1]:.0f} images/s", file=sys.stderr, flush=True)
    return {
        "comparison": name,
        "images": wanted.images,
        "images/s": round(median(others)),
        "scan, images/s": round(median(ours)),
        "ratio": round(median(our / other for our, other in zip(ours, others, strict=True)), 2),
    }


def main() -> None:
    """Run the comparisons and print a line of JSON for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", choices=[*COMPARISONS, []], metavar="NAME")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, help="instead of the comparison's own number")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    for name in given.names or COMPARISONS:
        with tempfile.TemporaryDirectory(prefix="alternatives-") as home:
            print(json.dumps(compare(name, given, Path(home))), flush=True)


if __name__ == "__main__":
    main()
