"""Takes secret values out of a stream of bytes before anything of it is stored, also where one lies across a border.

Besides the value itself: its base64 forms (at each of the three offsets at which it may stand in a longer text), its
URL encoding and its JSON escape; of a value of several lines, each line too. A text of fewer than four characters is
not masked: it would blot out the log. The search is one pass of an Aho-Corasick automaton, so that no client can make
it slow by many or by long secrets.
"""

import base64
import json
from collections.abc import Iterable, Sequence
from urllib.parse import quote, quote_plus

import ahocorasick

MASK = b"***"
SHORTEST = 4
PIECE = 512
"""Bytes. A longer needle is looked for in pieces of this length, which bounds what has to be held back."""


class Masker:
    """One stream. `feed` returns what may be shown now; what could be the beginning of a secret is held back."""

    def __init__(self, values: Iterable[str]) -> None:
        needles = {piece for value in values for form in _forms(value) for piece in _pieces(form)}
        self._longest = max(map(len, needles), default=0)
        self._held = b""
        self._automaton = ahocorasick.Automaton()
        for needle in needles:
            self._automaton.add_word(needle.decode("latin-1"), len(needle))
        self._automaton.make_automaton()

    def feed(self, data: bytes) -> bytes:
        if not self._longest:
            return data
        text = (self._held + data).decode("latin-1")
        found = self._found(text)
        border = self._border(text)
        for start, end in found:
            if start < border < end:
                border = start
        self._held = text[border:].encode("latin-1")
        return _masked(text[:border], [span for span in found if span[1] <= border])

    def finish(self) -> bytes:
        """The stream has ended: what was held back."""
        text, self._held = self._held.decode("latin-1"), b""
        return _masked(text, self._found(text)) if text else b""

    def _found(self, text: str) -> Sequence[tuple[int, int]]:
        """Where secrets are, as (start, end), overlapping ones merged."""
        spans = sorted((end + 1 - length, end + 1) for end, length in self._automaton.iter(text))
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


def _masked(text: str, spans: Sequence[tuple[int, int]]) -> bytes:
    parts: list[bytes] = []
    at = 0
    for start, end in spans:
        parts += [text[at:start].encode("latin-1"), MASK]
        at = end
    return b"".join((*parts, text[at:].encode("latin-1")))


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
