"""Break a Python process of a test from within: its decoder, its clock, its version of messages.

Python imports this at its start from PYTHONPATH. Each variable breaks one thing. Their names begin
so that the process which judges images one by one gets them, too.

PYTHON_FAULTS_DECODER   images say in a JPEG comment how their decoder fails; their time limit
PYTHON_FAULTS_SLOW      seconds that each image takes longer
PYTHON_FAULTS_CLOCK     a file with the seconds by which the clock is wrong; right without it
PYTHON_FAULTS_VERSION   the version of messages that this process knows
PYTHON_FAULTS_MODELS    any text: all models are others than those of the same name elsewhere
PYTHON_FAULTS_SIGTERM   any text: SIGTERM comes while the worker starts, in a destructor
PYTHON_FAULTS_VISIBLE   seconds after which a message that was not acknowledged counts as lost
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from types import ModuleType
from typing import Any


def _segfault() -> None:
    ctypes.string_at(0)


def _loop() -> None:
    while True:
        pass


def _hang() -> None:
    ctypes.CDLL(None).sleep(600)


def _eat_memory() -> None:
    eaten = []
    while True:
        eaten.append(bytearray(2**28))
        time.sleep(0.05)


_FAILURES = {
    b"segfault": _segfault,
    b"loop": _loop,
    b"hang": _hang,
    b"memory": _eat_memory,
}


def _leave_jpegs_to_pillow() -> None:
    """Put a module in place of libjpeg-turbo's that takes no file, as Pillow is what is broken."""

    def refuse(_data: bytes) -> None:
        raise ValueError

    module = ModuleType("simplejpeg")
    module.decode_jpeg_header = refuse
    sys.modules["simplejpeg"] = module


def _break_decoder(image_seconds: float) -> None:
    from PIL.ImageFile import ImageFile  # noqa: PLC0415 - only where it is broken

    from workers.limits import Limits  # noqa: PLC0415

    _leave_jpegs_to_pillow()
    load = ImageFile.load

    def broken(image: ImageFile) -> Any:  # noqa: ANN401 - Pillow's
        failure = _FAILURES.get(image.info.get("comment", b""))
        if failure is not None:
            failure()
        return load(image)

    ImageFile.load = broken
    Limits.__init__.__defaults__ = tuple(
        image_seconds if value == Limits().image_seconds else value
        for value in Limits.__init__.__defaults__ or ()
    )


def _slow_down(seconds: float) -> None:
    from PIL.ImageFile import ImageFile  # noqa: PLC0415 - as above

    _leave_jpegs_to_pillow()
    load = ImageFile.load

    def slow(image: ImageFile) -> Any:  # noqa: ANN401 - Pillow's
        # Nothing is left to decode at further calls.
        if image.tile:
            time.sleep(seconds)
        return load(image)

    ImageFile.load = slow


def _break_clock(file: str) -> None:
    right = time.time

    def wrong() -> float:
        try:
            with open(file) as offset:  # noqa: PTH123 - before pathlib is imported
                return right() + float(offset.read())
        except (OSError, ValueError):
            return right()

    time.time = wrong


def _break_version(version: int) -> None:
    from workers.broker import field_types  # noqa: PLC0415 - only where it is broken

    field_types.VERSION = version


def _exchange_models() -> None:
    from workers.detectors.card import Card  # noqa: PLC0415 - as above

    Card.sha256 = property(lambda _: "0" * 64)


def _hurry(seconds: int) -> None:
    from workers.broker import app  # noqa: PLC0415 - as above

    app.TRANSPORT["visibility_timeout"] = seconds


def _stop_in_a_destructor() -> None:
    from scanner.fleet import worker  # noqa: PLC0415 - as above

    class Dropped:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    preflight = worker.preflight

    def stopped(*args: Any) -> None:  # noqa: ANN401 - the function's own
        Dropped()
        preflight(*args)

    worker.preflight = stopped


if limit := os.environ.get("PYTHON_FAULTS_DECODER"):
    _break_decoder(float(limit))
if file := os.environ.get("PYTHON_FAULTS_CLOCK"):
    _break_clock(file)
if version := os.environ.get("PYTHON_FAULTS_VERSION"):
    _break_version(int(version))
if os.environ.get("PYTHON_FAULTS_MODELS"):
    _exchange_models()
if seconds := os.environ.get("PYTHON_FAULTS_SLOW"):
    _slow_down(float(seconds))
if os.environ.get("PYTHON_FAULTS_SIGTERM"):
    _stop_in_a_destructor()
if seconds := os.environ.get("PYTHON_FAULTS_VISIBLE"):
    _hurry(int(seconds))
