r"""Finds the boot script's marks in a pipe's bytes, across any border, and takes them out.

    READY \n                                            once, before anything else
    \x1eBEGIN <nonce> <step>\x1e\n                      before each step
    \x1eEND <nonce> <step> <code> <oom> <cut>\x1e\n     after each step; cut is 1 if it was ended by a signal of ours

What lies outside of BEGIN and END is nobody's output (a shell's own complaint, at most) and is dropped.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from chaser.sandboxes.boot import READY

_EDGE: Final = b"\x1e"
_MARK: Final = re.compile(
    rb"\x1e(?:BEGIN (?P<begin>\w{1,64}) (?P<first>\d{1,4})\x1e\n"
    rb"|END (?P<end>\w{1,64}) (?P<last>\d{1,4}) (?P<code>\d{1,3}) (?P<oom>\d{1,10}) (?P<cut>[01])\x1e\n?)"
)
"""Compiled once: compiling one for each nonce took a twentieth of a short run's time in this process."""
_LONGEST: Final = 128
"""More bytes than any mark has (a nonce has 32)."""


@dataclass(frozen=True, slots=True)
class Ready:
    pass


@dataclass(frozen=True, slots=True)
class Begin:
    step: int


@dataclass(frozen=True, slots=True)
class End:
    step: int
    exit_code: int
    oom_kills: int
    """All that the kernel has counted in this sandbox so far."""
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    data: bytes
    end: int
    """Bytes of the pipe, marks and all, up to the end of this."""


Mark = Ready | Begin | End | Output


def begin_mark(nonce: str, step: int) -> bytes:
    return f"\x1eBEGIN {nonce} {step}\x1e\n".encode()


class MarkScanner:
    """One pipe of one sandbox. Feed it bytes in order; `nonce` is set at the hand-over."""

    def __init__(self) -> None:
        self._nonce: bytes | None = None
        self._stems = (b"", b"")
        self._held = b""
        self._inside = False
        self.position = 0
        """Bytes of the pipe that have been fed."""

    def expect(self, nonce: str) -> None:
        self._nonce = nonce.encode()
        self._stems = (b"\x1eBEGIN %b " % self._nonce, b"\x1eEND %b " % self._nonce)

    def feed(self, data: bytes) -> list[Mark]:
        self.position += len(data)
        data = self._held + data if self._held else data
        self._held = b""
        if self._nonce is None:
            return self._before_launch(data)
        marks: list[Mark] = []
        start = self.position - len(data)
        at = 0
        for match in self._ours(data):
            self._emit(marks, data[at : match.start()], start + match.start())
            at = match.end()
            self._inside = match["begin"] is not None
            marks.append(Begin(int(match["first"])) if self._inside else _end(match))
        rest = data[at:] if at else data
        border = self._possible_mark(rest)
        self._held = rest[border:]
        self._emit(marks, rest[:border], start + at + border)
        return marks

    def finish(self) -> list[Mark]:
        """The stream has ended: what was held back as a possible mark is output after all."""
        marks: list[Mark] = []
        self._emit(marks, self._held, self.position)
        self._held = b""
        return marks

    def jump(self, position: int) -> list[Mark]:
        """What follows lies somewhere beyond `position`, in the middle of a step. Returns what was held back."""
        marks = self.finish()
        self.position = max(self.position, position)
        self._inside = True
        return marks

    def _ours(self, data: bytes) -> Iterator[re.Match[bytes]]:
        """The marks with our nonce. One with another may reach into the next mark, so the search goes on inside it."""
        at = 0
        while (match := _MARK.search(data, at)) is not None:
            ours = (match["begin"] or match["end"]) == self._nonce
            if ours:
                yield match
            at = match.end() if ours else match.start() + 1

    def _before_launch(self, data: bytes) -> list[Mark]:
        at = data.find(READY)
        if at < 0:
            self._held = data[-len(READY) :]
            return []
        return [Ready()]

    def _emit(self, marks: list[Mark], data: bytes, end: int) -> None:
        if data and self._inside:
            marks.append(Output(data, end))

    def _possible_mark(self, data: bytes) -> int:
        """Where a mark begins whose end is not here yet; the length if nowhere."""
        at = data.find(_EDGE, max(0, len(data) - _LONGEST))
        while at >= 0:
            if self._may_become_one(data[at:]):
                return at
            at = data.find(_EDGE, at + 1)
        return len(data)

    def _may_become_one(self, tail: bytes) -> bool:
        begin, end = self._stems
        if tail.startswith(begin):
            return _OPEN_BEGIN.fullmatch(tail, len(begin)) is not None
        if tail.startswith(end):
            return _OPEN_END.fullmatch(tail, len(end)) is not None
        return begin.startswith(tail) or end.startswith(tail)


_OPEN_BEGIN: Final = re.compile(rb"(\d{1,4}\x1e?)?")
_OPEN_END: Final = re.compile(rb"(\d{1,4}( (\d{1,3}( (\d{1,10}( [01]?)?)?)?)?)?)?")
"""A mark's numbers while its closing edge, or a BEGIN's newline, is still to come."""


def _end(match: re.Match[bytes]) -> End:
    return End(int(match["last"]), int(match["code"]), int(match["oom"]), match["cut"] == b"1")
