"""Nets that are measured and nothing else."""

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


def test_resnet50_is_the_known_one() -> None:
    """Its parameters are those of He et al.'s net less its 1,000 classes, and one logit."""
    assert 25_636_712 - 1000 * 2049 + 2049 == bench_nets.resnet50(32).count_params()


def test_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written runs on LiteRT: the net in floats, ResNet50 in bytes."""
    from workers.host.benchmark import measure, subject_of_file  # noqa: PLC0415 - after the skip

    monkeypatch.setattr(bench_nets, "SIDES", (32,))
    made = bench_nets.make(tmp_path / "nets")
    found = [measure(subject_of_file(path), [b""], 0.01) for path in made]

    assert ["objects-float-32", "resnet50-32"] == [path.stem for path in made]
    assert [None, None] == found
    assert 23e6 < made[1].stat().st_size < 26e6
