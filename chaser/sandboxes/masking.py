"""Takes secret values out of a stream of bytes before anything of it is stored, also where one lies across a border.

Besides the value itself: its base64 forms (at each of the three offsets at which it may stand in a longer text), its
URL encoding and its JSON escape; of a value of several lines, each line too. A text of fewer than four characters is
not masked: it would blot out the log. The search is one pass of an Aho-Corasick automaton, so that no client can make
it slow by many or by long secrets.
"""

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

import ahocorasick

MASK = b"***"
SHORTEST = 4
PIECE = 512
"""Bytes. A longer needle is looked for in pieces of this length, which bounds what has to be held back."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What may be seen in place of the next `raw` bytes of the stream. A mask is one by itself, and never cut."""

    data: bytes
    raw: int
    masked: bool = False


class Masker:
    """One stream. `feed` returns what may be shown now; what could be the beginning of a secret is held back.

    What was returned and `covered` are all of its state: another masker that gets the stream from there on, and the
    count, shows the same.
    """

    def __init__(self, values: Iterable[str], covered: int = 0) -> None:
        needles = {piece for value in values for form in _forms(value) for piece in _pieces(form)}
        self._longest = max(map(len, needles), default=0)
        self._held = b""
        self._covered = covered
        self._automaton = ahocorasick.Automaton()
        for needle in needles:
            self._automaton.add_word(needle.decode("latin-1"), len(needle))
        self._automaton.make_automaton()

    @property
    def held(self) -> int:
        """How many bytes are held back."""
        return len(self._held)

    @property
    def covered(self) -> int:
        """How many of the bytes that follow belong to a run of secrets whose mask has been shown already."""
        return self._covered

    def feed(self, data: bytes) -> list[Shown]:
        if not self._longest:
            return [Shown(data, len(data))]
        text = (self._held + data).decode("latin-1")
        border = self._border(text)
        shown, self._covered = self._masked(text, border)
        self._held = text[border:].encode("latin-1")
        return shown

    def finish(self) -> list[Shown]:
        """The stream has ended: what was held back."""
        text, self._held = self._held.decode("latin-1"), b""
        shown = self._masked(text, len(text))[0] if text else []
        self._covered = 0
        return shown

    def _masked(self, text: str, border: int) -> tuple[list[Shown], int]:
        """`text` up to `border` with its secrets masked, and how far beyond it the last mask reaches: a run of
        secrets that overlap may go on without end, so it is not waited for."""
        shown: list[Shown] = []
        at = 0
        for start, end in self._found(text):
            if start >= border and start > 0:
                break
            _plain(shown, text[at:start])
            goes_on = start == 0 and self._covered
            shown.append(Shown(b"" if goes_on else MASK, min(end, border) - start, masked=True))
            at = end
        _plain(shown, text[at:border])
        return shown, max(0, at - border)

    def _found(self, text: str) -> Sequence[tuple[int, int]]:
        """Where secrets are, as (start, end), overlapping ones merged."""
        spans = sorted((end + 1 - length, end + 1) for end, length in self._automaton.iter(text))
        if self._covered:
            spans.insert(0, (0, self._covered))
        merged: list[tuple[int, int]] = []
        for start, end in spans:
            if merged and start < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged

    def _border(self, text: str) -> int:
        """The first place at which a secret may have begun whose end is not here yet."""
        for at in range(max(0, len(text) - self._longest + 1), len(text)):
            tail = text[at:]
            if self._automaton.longest_prefix(tail) == len(tail):
                return at
        return len(text)


def _plain(shown: list[Shown], text: str) -> None:
    if text:
        shown.append(Shown(text.encode("latin-1"), len(text)))


def _pieces(form: bytes) -> Iterable[bytes]:
    if len(form) <= PIECE:
        return [form]
    cuts = [form[at : at + PIECE] for at in range(0, len(form), PIECE)]
    return [cut for cut in cuts if len(cut) >= SHORTEST]


def _forms(value: str) -> Iterable[bytes]:
    for text in (value, *value.splitlines()):
        if len(text) < SHORTEST:
            continue
        raw = text.encode()
        yield raw
        yield quote(text, safe="").encode()
        yield quote_plus(text).encode()
        yield json.dumps(text)[1:-1].encode()
        yield json.dumps(text, ensure_ascii=False)[1:-1].encode()
        yield from _base64_forms(raw)


def _base64_forms(raw: bytes) -> Iterable[bytes]:
    """The characters that depend on `raw` alone, at each offset; in the standard and the URL-safe alphabet."""
    for offset in range(3):
        whole = base64.b64encode(bytes(offset) + raw)
        first = -(-offset * 8 // 6)
        last = (offset + len(raw)) * 8 // 6
        core = whole[first:last]
        if len(core) >= SHORTEST:
            yield core
            yield core.replace(b"+", b"-").replace(b"/", b"_")
