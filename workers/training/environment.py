"""What training runs on: set up so that it is fast, written down so that it can be judged."""

from __future__ import annotations

import ctypes
import os
import platform
from importlib import metadata
from pathlib import Path

PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "pillow", "ai-edge-litert")

# Parameters of glibc's mallopt(3).
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8
MIB = 1 << 20


def prepare() -> None:
    """Make TensorFlow fast on a plain CPU; call it before TensorFlow is imported.

    Measured on two cores with AVX2: 75 images a second as TensorFlow comes, 222 with oneDNN, 435
    when freed memory is also kept instead of being given back and faulted in again every step.
    """
    # By default only on processors with AVX-512 VNNI.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # not glibc: slower, not wrong
        return
    mallopt(M_ARENA_MAX, 1)
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, 2047 * MIB)
    mallopt(M_TOP_PAD, 256 * MIB)


def numbers() -> str:
    """Give what to compute with, as Keras names it: brain floats where they have kernels.

    Those of oneDNN want AVX-512; without it TensorFlow falls back to code that is far slower than
    32-bit floats. What is exported is made from 32-bit weights either way.
    """
    import tensorflow as tf  # noqa: PLC0415 - only once it is prepared for

    cpuinfo = Path("/proc/cpuinfo")
    wide = cpuinfo.exists() and "avx512bw" in cpuinfo.read_text(errors="replace")
    gpu = bool(tf.config.list_physical_devices("GPU"))
    return "mixed_bfloat16" if wide or gpu else "float32"


def describe() -> dict[str, object]:
    """Give Python, machine, GPUs and package versions, JSON-able; what is not there is left out."""
    import tensorflow as tf  # noqa: PLC0415 - only once it is prepared for

    versions: dict[str, str] = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
        "cores": os.cpu_count(),
        "gpus": [each.name for each in tf.config.list_physical_devices("GPU")],
        "numbers": numbers(),
        "packages": versions,
    }
