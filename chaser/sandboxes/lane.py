"""One pipe's way to the store: what is stored already is passed over, the rest is masked, and each piece keeps its place."""

from collections.abc import Iterable

from chaser.sandboxes.masking import Masker, Shown
from chaser.sandboxes.pieces import Piece


class Lane:
    """`offset` and `covered` are the pipe's, as in `Progress`."""

    def __init__(self, secrets: Iterable[str], offset: int, covered: int) -> None:
        values = tuple(secrets)
        self._masker = Masker(values, covered) if values else None
        self._offset = offset
        self._last: Piece | None = None
        """The place of what came last, without its bytes."""

    def take(self, piece: Piece) -> list[Piece]:
        """The piece as it is to be stored: nothing, if it is; in parts, where it holds secrets."""
        start = piece.end - len(piece.data)
        if start < self._offset:
            if piece.end <= self._offset:
                return []
            piece, start = piece._replace(data=piece.data[self._offset - start :]), self._offset
        if self._masker is None:
            return [piece]
        self._last = piece._replace(data=b"")
        held = self._masker.held
        return _placed(self._masker.feed(piece.data), piece, start - held, self._masker.covered)

    def finish(self) -> list[Piece]:
        """A step has ended on this pipe, or all has: what was held back."""
        if self._masker is None or self._last is None:
            return []
        held = self._masker.held
        return _placed(self._masker.finish(), self._last, self._last.end - held, 0)


def _placed(shown: list[Shown], piece: Piece, start: int, covered: int) -> list[Piece]:
    """`shown` as pieces like `piece`; it begins at `start`. What is covered lies beyond the last of them."""
    placed: list[Piece] = []
    end = start
    for each in shown:
        end += each.raw
        if each.data:
            placed.append(piece._replace(data=each.data, end=end, masked=each.masked))
    if placed and covered and shown[-1].data:
        placed[-1] = placed[-1]._replace(covered=covered)
    return placed
