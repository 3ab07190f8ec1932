"""Maps of a detector's score over an image, made on demand, one at a time, and cached."""

from __future__ import annotations

import json
import threading
from functools import partial
from typing import TYPE_CHECKING

from scanner.language import gettext
from scanner.web.previews import NoPreview
from workers.detectors.card import CardError
from workers.errors import ImageProblem
from workers.pipeline.score_map import Square, score_map

if TYPE_CHECKING:
    from scanner.web.previews import Previews
    from storage.reads.gallery import ListedFile
    from storage.writes.scans import Scan
    from workers.detectors.card import Card

# A map takes a core for a second or more, and as much memory as a scan takes for the image.
_MAKING = threading.Lock()
# Seconds that a request waits while another map is made.
WAIT_SECONDS = 20
# Digits of a model's checksum in the name of a cached file.
_DIGITS = 16


class Busy(NoPreview):
    """Another map took too long to wait for it."""


def cached_map(previews: Previews, scan: Scan, listed: ListedFile, card: Card) -> list[Square]:
    """Return the squares of a map, in pixels of the image as stored.

    The image is read as for its previews. Raises NoPreview with the reason why there is no map,
    Busy where another one is being made.
    """
    name = f"map-{card.name}-{card.version}-{card.sha256[:_DIGITS]}"
    if not _MAKING.acquire(timeout=WAIT_SECONDS):
        raise Busy(gettext("another map is being made: try again in a moment"))
    try:
        body = previews.cached(scan, listed, name, partial(_made, card=card))
    finally:
        _MAKING.release()
    return [
        Square((left, top, right, bottom), score)
        for left, top, right, bottom, score in json.loads(body)
    ]


def _made(data: bytes, card: Card) -> bytes:
    try:
        squares = score_map(data, card)
    except CardError as error:
        raise NoPreview(
            gettext("{name} cannot be loaded: {error}").format(name=card.name, error=error)
        ) from error
    except ImageProblem as problem:
        raise NoPreview(problem.text) from problem
    return json.dumps([(*square.box, square.score) for square in squares]).encode()
