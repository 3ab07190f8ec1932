"""Models that are only timed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

# TensorFlow warns of what the converter does, which is what is wanted.
pytestmark = pytest.mark.filterwarnings("ignore")

bench_nets = pytest.importorskip(
    "workers.training.networks.benchmark_models", exc_type=ModuleNotFoundError
)


def test_resnet50_has_the_published_parameters() -> None:
    """Its parameters are those of He et al. without the 1,000 classes, plus one logit."""
    assert 25_636_712 - 1000 * 2049 + 2049 == bench_nets.resnet50(32).count_params()


def test_benchmark_models_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files run on LiteRT: the network in floats, ResNet50 in bytes."""
    from workers.host.benchmark import measure, subject_of_file  # noqa: PLC0415 - after the skip

    monkeypatch.setattr(bench_nets, "SIDES", (32,))
    made = bench_nets.make(tmp_path / "nets")
    found = [measure(subject_of_file(path), [b""], 0.01) for path in made]

    assert ["objects-float-32", "resnet50-32"] == [path.stem for path in made]
    assert [None, None] == found
    assert 23e6 < made[1].stat().st_size < 26e6
