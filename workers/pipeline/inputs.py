"""What of a decoded picture is shown to which detectors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from storage.records import RESIZED_FROM
from workers.images.degraded import degraded
from workers.pipeline import crops
from workers.pipeline.route import TOO_LARGE, Router

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from storage.records import Finding
    from workers.detectors.card import Card
    from workers.images.decode import Decoded, Header
    from workers.pipeline.crops import Finder

# Of a crowd, the largest faces are looked at.
MOST_FACES = 4
# A face that takes up so much of a picture's shorter side makes it a portrait.
PORTRAIT = 0.5
# Pictures up to this side have no face that is large enough for a detector.
NO_FACE_SIDE = 64


@dataclass(frozen=True, slots=True)
class Question:
    """What one detector is to be asked about one picture: its views of one thing in it."""

    detector: str
    views: list[NDArray[np.uint8]]
    detail: dict[str, Any]


@dataclass(slots=True)
class Shown:
    """The questions that a picture raises, or the finding that says why there is none.

    Those of `whole` are asked about many pictures at once: for tiny ones, asking takes as long as
    looking.
    """

    pieces: list[Question] = field(default_factory=list)
    whole: list[Question] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def ask_also(self, other: Shown) -> None:
        """Ask the other's questions, too; why there are none is only said of ours."""
        self.pieces.extend(other.pieces)
        self.whole.extend(other.whole)


class Showing:
    """Finds in a picture what the detectors of one plan are to be asked about."""

    def __init__(
        self, cards: Mapping[str, Card], shipped: Mapping[str, Card], finder: Finder | None
    ) -> None:
        """`shipped` are the cards of all detectors that are here, in the plan or not."""
        self._views = {name: card.view for name, card in cards.items()}
        self._inputs = {name: card.input for name, card in cards.items() if card.input is not None}
        self._router = Router(cards, shipped)
        self._finder = finder
        # Whether pictures are wanted at their own size.
        self.native = finder is not None or any(
            view.kind != "whole" for view in self._views.values()
        )

    def show(self, decoded: Decoded) -> Shown:
        """What to ask of whom; of faces, of pieces at the picture's own size, of the whole.

        A portrait's pieces are pieces of a face, which is for the net that knows faces.
        """
        shown = Shown()
        names = self._router.by_size(decoded.header)
        if decoded.native is not None:
            shown.pieces.extend(self._faces(decoded, decoded.native))
        is_portrait = any(_fills(asked, decoded.header) for asked in shown.pieces)
        for name in names:
            if self._views[name].kind == "whole":
                shown.whole.append(self._whole(name, decoded))
            elif decoded.native is not None and not (is_portrait and self._is_of_pieces(name)):
                shown.pieces.append(self._pieces(name, decoded, decoded.native))
        if shown.pieces and (why := degraded(decoded)) is not None:
            shown.findings.append(why)
        if not shown.pieces and not shown.whole:
            shown.findings.append(TOO_LARGE if names else self._router.why_none(decoded.header))
        return shown

    def _is_of_pieces(self, name: str) -> bool:
        return self._views[name].kind == "crops"

    def _whole(self, name: str, decoded: Decoded) -> Question:
        view = crops.whole(decoded.pixels, self._inputs[name])
        if view is decoded.pixels:
            return Question(name, [view], {})
        return Question(name, [view], {RESIZED_FROM: [decoded.header.width, decoded.header.height]})

    def _pieces(self, name: str, decoded: Decoded, picture: Image.Image) -> Question:
        view, wanted = self._views[name], self._inputs[name]
        if view.kind == "centre":
            return Question(name, [crops.centre(decoded, picture, view.shorter, wanted)], {})
        pieces = crops.crops(picture, wanted, view.crops)
        return Question(name, pieces, {"crops": len(pieces)})

    def _faces(self, decoded: Decoded, picture: Image.Image) -> Iterator[Question]:
        """The largest faces, each for the one detector that is for its size."""
        if self._finder is None or max(picture.size) <= NO_FACE_SIDE:
            return
        for face in crops.faces(decoded, self._finder)[:MOST_FACES]:
            name = self._router.for_face(face.side)
            if name is not None:
                margin = self._views[name].margin
                view = crops.of_face(decoded, picture, face, margin, self._inputs[name])
                corners = [round(side) for side in (face.left, face.top, face.right, face.bottom)]
                yield Question(name, [view], {"box": corners})


def _fills(asked: Question, header: Header) -> bool:
    """Whether a question is about a face that fills the picture."""
    left, top, right, bottom = asked.detail["box"]
    side = max(right - left, bottom - top)
    return bool(side >= PORTRAIT * min(header.width, header.height))
