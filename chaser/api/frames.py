"""Frames of a log as text: characters that lie across the border of two frames survive."""

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chaser.jobs.logs import Frame, Stream


@dataclass(frozen=True, slots=True)
class Piece:
    """Text of one stream. `frame` is the frame that completed it."""

    frame: Frame
    stream: Stream
    text: str
    skipped: int | None = None


class Decoder:
    """UTF-8 with replacement, each stream by itself."""

    def __init__(self) -> None:
        self._decoders: dict[Stream, codecs.IncrementalDecoder] = {}
        self._last: Frame | None = None

    def feed(self, frames: Iterable[Frame]) -> Iterator[Piece]:
        for frame in frames:
            if frame.stream is Stream.GAP:
                # what was begun before a gap is not continued after it
                yield from self._flush(frame)
                yield Piece(frame, Stream.GAP, "", frame.skipped)
            elif text := self._decoder(frame.stream).decode(frame.data):
                yield Piece(frame, frame.stream, text)
            self._last = frame

    def pass_over(self, frames: Iterable[Frame]) -> None:
        """Frames that were told before: of them only the begin of a character matters that they do not complete."""
        for _ in self.feed(frames):
            pass

    def finish(self) -> Iterator[Piece]:
        """The log has ended: what was begun and never completed."""
        if self._last is not None:
            yield from self._flush(self._last)

    def _flush(self, frame: Frame) -> Iterator[Piece]:
        for stream, decoder in self._decoders.items():
            if text := decoder.decode(b"", final=True):
                yield Piece(frame, stream, text)
        self._decoders.clear()

    def _decoder(self, stream: Stream) -> codecs.IncrementalDecoder:
        if stream not in self._decoders:
            self._decoders[stream] = codecs.getincrementaldecoder("utf-8")("replace")
        return self._decoders[stream]
