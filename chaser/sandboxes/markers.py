r"""Finds the boot script's marks in a pipe's bytes, across any border, and takes them out.

    READY \n                            once, before anything else
    \x1eBEGIN <nonce>\x1e\n             before each step
    \x1eEND <nonce> <code> <oom>\x1e\n  after each step

What lies outside of BEGIN and END is nobody's output (a shell's own complaint, at most) and is dropped.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from chaser.sandboxes.boot import READY

_EDGE: Final = b"\x1e"
_MARK: Final = re.compile(
    rb"\x1e(?:BEGIN (?P<begin>\w{1,64})\x1e\n|END (?P<end>\w{1,64}) (?P<code>\d{1,3}) (?P<oom>\d{1,10})\x1e\n?)"
)
"""Compiled once: compiling one for each nonce took a twentieth of a short run's time in this process."""
_LONGEST: Final = 120
"""More bytes than any mark has (a nonce has 32)."""


@dataclass(frozen=True, slots=True)
class Ready:
    pass


@dataclass(frozen=True, slots=True)
class Begin:
    pass


@dataclass(frozen=True, slots=True)
class End:
    exit_code: int
    oom_kills: int


@dataclass(frozen=True, slots=True)
class Output:
    data: bytes


Mark = Ready | Begin | End | Output


class MarkScanner:
    """One pipe of one sandbox. Feed it bytes in order; `nonce` is set at the hand-over."""

    def __init__(self) -> None:
        self._nonce: bytes | None = None
        self._stems = (b"", b"")
        self._held = b""
        self._inside = False

    def expect(self, nonce: str) -> None:
        self._nonce = nonce.encode()
        self._stems = (b"\x1eBEGIN %b\x1e\n" % self._nonce, b"\x1eEND %b " % self._nonce)

    def feed(self, data: bytes) -> list[Mark]:
        data = self._held + data if self._held else data
        self._held = b""
        if self._nonce is None:
            return self._before_launch(data)
        marks: list[Mark] = []
        at = 0
        for match in self._ours(data):
            self._emit(marks, data[at : match.start()])
            at = match.end()
            self._inside = match["begin"] is not None
            marks.append(Begin() if self._inside else End(int(match["code"]), int(match["oom"])))
        rest = data[at:] if at else data
        border = self._possible_mark(rest)
        self._held = rest[border:]
        self._emit(marks, rest[:border])
        return marks

    def finish(self) -> list[Mark]:
        """The stream has ended: what was held back as a possible mark is output after all."""
        marks: list[Mark] = []
        self._emit(marks, self._held)
        self._held = b""
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

    def _emit(self, marks: list[Mark], data: bytes) -> None:
        if data and self._inside:
            marks.append(Output(data))

    def _possible_mark(self, data: bytes) -> int:
        """Where a mark begins whose end is not here yet; the length if nowhere."""
        at = data.find(_EDGE, max(0, len(data) - _LONGEST))
        while at >= 0:
            tail = data[at:]
            if any(stem.startswith(tail) for stem in self._stems) or _OPEN_END.fullmatch(
                tail.removeprefix(self._stems[1])
            ):
                return at
            at = data.find(_EDGE, at + 1)
        return len(data)


_OPEN_END: Final = re.compile(rb"\d{1,3}( \d{0,10})?")
"""An END mark's numbers while its closing edge is still to come."""
