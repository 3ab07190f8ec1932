"""Hardware and packages of a training run: set up to be fast, and recorded."""

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
    """Make TensorFlow fast on a CPU; call it before TensorFlow is imported.

    Measured on two cores with AVX2: 75 images/s by default, 222 with oneDNN, 435 when freed memory
    is also kept instead of being returned and faulted in again in every step.
    """
    # On by default only on processors with AVX-512 VNNI.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # not glibc: slower, not wrong
        return
    mallopt(M_ARENA_MAX, 1)
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, 2047 * MIB)
    mallopt(M_TOP_PAD, 256 * MIB)


def precision() -> str:
    """Return the dtype policy of Keras for this machine: brain floats if they have fast kernels.

    oneDNN's kernels need AVX-512; without them brain floats are far slower than 32-bit floats.
    Exported models are made from 32-bit weights either way.
    """
    import tensorflow as tf  # noqa: PLC0415 - after `prepare`

    cpuinfo = Path("/proc/cpuinfo")
    wide = cpuinfo.exists() and "avx512bw" in cpuinfo.read_text(errors="replace")
    gpu = bool(tf.config.list_physical_devices("GPU"))
    return "mixed_bfloat16" if wide or gpu else "float32"


def describe() -> dict[str, object]:
    """Return Python, machine, GPUs and versions of the packages that are installed, for JSON."""
    import tensorflow as tf  # noqa: PLC0415 - after `prepare`

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
        "numbers": precision(),
        "packages": versions,
    }
