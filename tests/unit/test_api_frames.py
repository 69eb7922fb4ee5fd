"""Frames of a log as text."""

from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chaser.api.frames import Decoder
from chaser.jobs.logs import Frame, Stream

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def frames(*parts: tuple[Stream, bytes]) -> list[Frame]:
    return [
        Frame(seq, stream, NOW, data, skipped=3 if stream is Stream.GAP else 0)
        for seq, (stream, data) in enumerate(parts, start=1)
    ]


def text_of(stream: Stream, given_frames: list[Frame]) -> str:
    decoder = Decoder()
    pieces = [*decoder.feed(given_frames), *decoder.finish()]
    return "".join(piece.text for piece in pieces if piece.stream is stream)


@given(st.text(), st.lists(st.integers(0, 20), max_size=5))
def test_text_survives_every_way_to_cut_it(text: str, cuts: list[int]) -> None:
    data = text.encode()
    borders = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [(Stream.OUTPUT, data[begin:end]) for begin, end in pairwise(borders)]
    assert text_of(Stream.OUTPUT, frames(*pieces)) == text


def test_streams_do_not_mix() -> None:
    """Half a character of one, then all of another, then the other half."""
    euro = "€".encode()
    mixed = frames((Stream.STDOUT, euro[:1]), (Stream.STDERR, euro), (Stream.STDOUT, euro[1:]))
    assert text_of(Stream.STDOUT, mixed) == text_of(Stream.STDERR, mixed) == "€"


def test_a_gap_ends_what_was_begun() -> None:
    """The character's rest is among what is left out: what follows the gap is not it."""
    decoder = Decoder()
    cut = frames((Stream.STDOUT, b"a\xe2"), (Stream.GAP, b""), (Stream.STDOUT, b"\x82\xac"))
    pieces = [*decoder.feed(cut), *decoder.finish()]
    assert [(piece.stream, piece.text, piece.skipped) for piece in pieces] == [
        (Stream.STDOUT, "a", None),
        (Stream.STDOUT, "\ufffd", None),
        (Stream.GAP, "", 3),
        (Stream.STDOUT, "\ufffd\ufffd", None),
    ]


def test_an_unfinished_character_shows_at_the_end() -> None:
    assert text_of(Stream.OUTPUT, frames((Stream.OUTPUT, b"a\xf0\x9f"))) == "a\ufffd"
