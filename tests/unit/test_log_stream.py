"""What the engine's log has of a stream, and how the bytes that were printed are made of it again."""

import struct
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaser.sandboxes.engine import STDERR, STDOUT, Chunk
from chaser.sandboxes.engines.log_connection import Unchunked
from chaser.sandboxes.engines.log_stream import LogFrames
from tests.unit.test_markers import PLACES, cut

PIECE = 8
"""Where this log cuts lines; Docker's `local` driver does it at 16 KiB."""
PRINTED = st.lists(
    st.tuples(
        st.sampled_from([STDOUT, STDERR]), st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"."))
    ),
    max_size=12,
)
"""Lines, without their newlines."""


def logged(lines: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """The frames of a log of `lines`: pieces of one line carry one timestamp, and a line of a piece or more has lost
    its newline."""
    frames: list[tuple[int, bytes]] = []
    for number, (pipe, line) in enumerate(lines):
        stamp = b"2026-01-01T00:00:00.%09dZ " % number
        pieces = [line[at : at + PIECE] for at in range(0, len(line), PIECE)] or [b""]
        if len(line) < PIECE:
            pieces[-1] += b"\n"
        elif len(line) % PIECE:
            pass  # the last piece, too, comes without
        frames += [(pipe, stamp + piece) for piece in pieces]
    return frames


def body(frames: Sequence[tuple[int, bytes]]) -> bytes:
    """The frames as the log route sends them."""
    return b"".join(struct.pack(">BxxxL", pipe, len(frame)) + frame for pipe, frame in frames)


def fed(pieces: Sequence[bytes]) -> list[Chunk]:
    frames = LogFrames()
    return [chunk for piece in pieces for chunk in frames.feed(piece)]


@given(lines=PRINTED, places=PLACES)
def test_the_bytes_are_those_that_were_printed(lines: list[tuple[int, bytes]], places: list[int]) -> None:
    lines = [*lines, (STDOUT, b"end"), (STDERR, b"end")]

    chunks = fed(cut(body(logged(lines)), places))

    for pipe in (STDOUT, STDERR):
        printed = b"".join(line + b"\n" for each, line in lines if each == pipe)
        assert b"".join(chunk.data for chunk in chunks if chunk.pipe == pipe) == printed
    assert all(chunk.data for chunk in chunks)


def stamped(fraction: str, data: bytes, pipe: int = STDOUT) -> tuple[int, bytes]:
    return pipe, f"2026-01-01T00:00:00.{fraction}Z ".encode() + data


def test_a_line_that_has_kept_its_newline_gets_no_second_one() -> None:
    [chunk] = fed([body([stamped("000000001", b"one\n"), stamped("000000002", b"two\n")])])

    assert chunk.data == b"one\ntwo\n"


def test_spaces_in_the_text_are_not_the_timestamps() -> None:
    [chunk] = fed([body([stamped("000000001", b" a b \n")])])

    assert chunk.data == b" a b \n"


def test_what_was_read_within_one_millisecond_on_one_pipe_is_one_chunk() -> None:
    frames = [
        stamped("000000001", b"a\n"),
        stamped("000999999", b"b\n"),
        stamped("001000000", b"c\n"),
        stamped("001000001", b"d\n", STDERR),
        stamped("001000002", b"e\n"),
    ]

    chunks = fed([body(frames)])

    assert [(chunk.pipe, chunk.data) for chunk in chunks] == [
        (STDOUT, b"a\nb\n"),
        (STDOUT, b"c\n"),
        (STDERR, b"d\n"),
        (STDOUT, b"e\n"),
    ]
    assert chunks[1].at == datetime(2026, 1, 1, 0, 0, 0, 1000, tzinfo=UTC)


def text(frames: Sequence[tuple[int, bytes]], pipe: int = STDOUT) -> bytes:
    return b"".join(chunk.data for chunk in fed([body(frames)]) if chunk.pipe == pipe)


@given(
    lines=st.lists(
        st.binary(max_size=20).map(lambda data: data.replace(b"\n", b".")), min_size=1, max_size=30
    ),
    data=st.data(),
)
def test_what_is_sent_again_is_left_out(lines: list[bytes], data: st.DataObject) -> None:
    """The engine goes back to any place before the last line, and on from there."""
    frames = [stamped(f"{number:09d}", line + b"\n") for number, line in enumerate(lines)]
    other = stamped("999999999", b"other\n", STDERR)
    last = data.draw(st.integers(0, len(frames) - 1))
    first = data.draw(st.integers(0, last))
    sent = [other, *frames[: last + 1], other, *frames[first:]]

    assert text(sent) == b"".join(line + b"\n" for line in lines)
    assert text(sent, STDERR) == b"other\n"


def test_a_clock_that_is_set_back_costs_nothing() -> None:
    frames = [
        stamped(stamp, b"line\n")
        for stamp in ("500000000", "500000001", "100000000", "100000001", "600000000")
    ]

    assert text(frames) == b"line\n" * 5


def test_pieces_of_one_line_that_are_alike_are_all_there() -> None:
    frames = [stamped("000000001", b"xxxx")] * 4

    assert text(frames) == b"x" * 16


def test_a_line_that_goes_on_after_what_was_sent_again_is_whole() -> None:
    frames = [stamped("000000001", b"one\n"), stamped("000000002", b"tw"), stamped("000000002", b"o\n")]

    assert text([frames[0], frames[1], frames[0], frames[1], frames[2]]) == b"one\ntwo\n"


CHUNKS = st.lists(st.binary(min_size=1, max_size=50), max_size=8)


@given(chunks=CHUNKS, places=PLACES)
def test_http_chunks_are_taken_out_wherever_they_are_cut(chunks: list[bytes], places: list[int]) -> None:
    sent = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    unchunked = Unchunked()

    whole = b"".join(unchunked.feed(piece) for piece in cut(sent, places))

    assert whole == b"".join(chunks)
    assert unchunked.ended


@given(chunks=CHUNKS, left=st.integers(5, 100))
def test_a_body_that_breaks_off_is_told_from_one_that_has_ended(chunks: list[bytes], left: int) -> None:
    sent = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    unchunked = Unchunked()

    unchunked.feed(sent[:-left])

    assert not unchunked.ended


def test_what_is_no_chunk_is_refused() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        Unchunked().feed(b"<html>\r\n")
