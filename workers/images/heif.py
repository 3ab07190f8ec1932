"""HEIF images by pi-heif, without what it reads beside the pixels.

Its reading of metadata crashes on some damaged files, and scanner reads metadata itself.
"""

from __future__ import annotations

from typing import Any

from pi_heif import heif, options
from pi_heif.as_plugin import HeifImageFile

__all__ = ["HeifImageFile"]

# There are as many pool processes as cores already.
options.DECODE_THREADS = 1
options.THUMBNAILS = options.DEPTH_IMAGES = options.AUX_IMAGES = False


class _WithoutMetadata:
    """An image of libheif's that has no metadata."""

    metadata: tuple[()] = ()

    def __init__(self, image: Any) -> None:  # noqa: ANN401 - of native code
        self._image = image

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._image, name)


class _HeifImage(heif.HeifImage):  # type: ignore[misc]
    def __init__(self, image: Any) -> None:  # noqa: ANN401
        super().__init__(_WithoutMetadata(image))


# pi-heif has no option for this.
heif.HeifImage = _HeifImage
