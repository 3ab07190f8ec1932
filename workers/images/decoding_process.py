"""Decoding in a confined child process, for commands that look at many images of unknown origin.

One child decodes image after image, and is replaced when one of them kills it. Bytes and pixels
go through a file in memory that both processes have open.
"""

from __future__ import annotations

import atexit
import os
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Self

import numpy as np
from msgspec import Struct
from PIL import Image

from storage.records import ErrorKind
from storage.text import clean
from workers.confinement.process import confine
from workers.images.decode import Decoded, Header, decode
from workers.images.errors import DECODER_ERRORS, DecodeError
from workers.images.orientation import UPRIGHT
from workers.limited_process import (
    LimitedProcess,
    ParentConnection,
    ProcessFailed,
    ProcessTimedOut,
    limit_cpu,
    limit_memory,
)
from workers.limits import Limits
from workers.native_output import file_in_memory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import IO

    from numpy.typing import NDArray

# Of the file in memory: bytes of an image, or its pixels at full resolution with four bytes each.
_SHARED_BYTES = 2**30
# What of it is used again: the system takes as long to clear memory as to decode a small image.
_KEPT_BYTES = 2**26


class _Request(Struct):
    """Images in the shared file, one after the other; `plain` asks for pixels as Pillow has them.

    Several are for plain pixels only.
    """

    sizes: list[int]
    shared: int
    limits: Limits
    plain: bool


class _Raster(Struct):
    """Pixels that follow one another in the shared file."""

    mode: str
    width: int
    height: int
    size_bytes: int


class _Answer(Struct):
    """Pixels, and the native image, in the shared file; or what is wrong with an image."""

    form: str = ""
    size: tuple[int, int] = (0, 0)
    rasters: list[_Raster] = []
    orientation: int = UPRIGHT
    is_preview: bool = False
    problem: ErrorKind | None = None
    text: str = ""


class DecodingProcess:
    """The parent's end. Not for use by two threads at a time."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._shared: IO[bytes] | None = None
        self._process: LimitedProcess | None = None

    def decode(self, data: bytes) -> Decoded:
        """Return what `workers.images.decode.decode` does with `native`; raise DecodeError.

        An image that kills the child is `crashed`, one that takes too long is `timeout`.
        """
        answer, (pixels, *native) = self._ask([data], plain=False)
        return Decoded(
            Header(answer.form, *answer.size),
            np.asarray(pixels),
            native[0] if native else None,
            answer.orientation,
            answer.is_preview,
        )

    def rgb(self, images: Sequence[bytes]) -> list[NDArray[np.uint8]]:
        """Return images of any format of Pillow's, each (height, width, 3) RGB.

        Several at once, because a small one is decoded sooner than handed over. Raises DecodeError.
        """
        _, rasters = self._ask(images, plain=True)
        return [np.asarray(raster) for raster in rasters]

    def close(self) -> None:
        """End the child; the next image starts another."""
        process, self._process = self._process, None
        shared, self._shared = self._shared, None
        if process is not None:
            process.kill()
        if shared is not None:
            shared.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, images: Sequence[bytes], *, plain: bool) -> tuple[_Answer, list[Image.Image]]:
        """Return the answer about images, and their rasters. Raises DecodeError."""
        if self._process is None or self._shared is None:
            self._shared = file_in_memory()
            self._process = LimitedProcess(
                "workers.images.decoding_process", pass_fds=(self._shared.fileno(),)
            )
        shared = self._shared.fileno()
        if os.fstat(shared).st_size > _KEPT_BYTES:
            os.ftruncate(shared, 0)
        _write(shared, b"".join(images), 0)
        request = _Request([len(data) for data in images], shared, self._limits, plain)
        try:
            answer = self._process.request(request, _Answer, self._limits.image_seconds)
        except ProcessFailed as error:
            self.close()
            is_slow = isinstance(error, ProcessTimedOut)
            what = "took too long" if is_slow else "killed the process that decoded it"
            kind = ErrorKind.TIMEOUT if is_slow else ErrorKind.CRASHED
            raise DecodeError(kind, what) from error
        if answer.problem is not None:
            raise DecodeError(answer.problem, answer.text)
        rasters = _rasters(shared, answer)
        if len(rasters) < len(images) or rasters[0].mode != "RGB":
            raise DecodeError(ErrorKind.CRASHED, "was decoded to something else")
        return answer, rasters


def _rasters(shared: int, answer: _Answer) -> list[Image.Image]:
    """Return the images in the shared file; the child may be hostile. Raises DecodeError."""
    images, at = [], 0
    try:
        for raster in answer.rasters:
            body = os.pread(shared, raster.size_bytes, at)
            images.append(Image.frombytes(raster.mode, (raster.width, raster.height), body))
            at += raster.size_bytes
    except (OSError, ValueError) as error:
        raise DecodeError(ErrorKind.CRASHED, "was decoded to something else") from error
    return images


@cache
def shared_decoder() -> DecodingProcess:
    """Return the one decoder of this process, for commands with one thread."""
    decoder = DecodingProcess()
    atexit.register(decoder.close)
    return decoder


def main() -> None:
    """Run the child: answer each request, until the parent is gone."""
    parent = ParentConnection()
    confine()
    is_limited = False
    while request := parent.receive(_Request):
        if not is_limited:
            limit_memory(request.limits.sandbox_bytes, _SHARED_BYTES)
            is_limited = True
        limit_cpu(request.limits.image_seconds)
        parent.answer(_answer(request))


def _answer(request: _Request) -> _Answer:
    data = os.pread(request.shared, sum(request.sizes), 0)
    try:
        if request.plain:
            return _written(request.shared, _Answer(), _plain(data, request.sizes))
        decoded = decode(data, max_pixels=request.limits.max_pixels, native=True)
        images = [Image.fromarray(decoded.pixels)]
        if decoded.native is not None:
            images.append(_without_palette(decoded.native))
        size = (decoded.header.width, decoded.header.height)
        answer = _Answer(
            decoded.header.format,
            size,
            orientation=decoded.orientation,
            is_preview=decoded.is_preview,
        )
        return _written(request.shared, answer, images)
    except DecodeError as error:
        return _Answer(problem=error.kind, text=clean(error.text))
    except DECODER_ERRORS as error:
        return _Answer(problem=ErrorKind.DAMAGED, text=clean(str(error)) or type(error).__name__)


def _plain(data: bytes, sizes: Sequence[int]) -> Iterator[Image.Image]:
    """Yield images that follow one another."""
    at = 0
    for size in sizes:
        with Image.open(BytesIO(data[at : at + size])) as image:
            yield image.convert("RGB")
        at += size


def _written(shared: int, answer: _Answer, images: Iterable[Image.Image]) -> _Answer:
    """Write images into the shared file; return the answer that says where they are."""
    answer.rasters, at = [], 0
    for image in images:
        body = image.tobytes()
        _write(shared, body, at)
        answer.rasters.append(_Raster(image.mode, image.width, image.height, len(body)))
        at += len(body)
    return answer


def _without_palette(image: Image.Image) -> Image.Image:
    """Return an image whose pixels say it all, which `to_rgb` converts to the same colours."""
    if image.mode in {"P", "PA", "1"} or "transparency" in image.info:
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image


def _write(shared: int, body: bytes, at: int) -> None:
    left = memoryview(body)
    while left:
        written = os.pwrite(shared, left, at)
        left, at = left[written:], at + written


if __name__ == "__main__":
    main()
