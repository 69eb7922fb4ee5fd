"""What the engine's log has of a stream, and how the bytes that were printed are made of it again."""

from hypothesis import given
from hypothesis import strategies as st

from chaser.sandboxes.engine import STDERR, STDOUT
from chaser.sandboxes.engines.log_stream import LogFrames

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


@given(lines=PRINTED, out=st.integers(0, 200), err=st.integers(0, 200))
def test_the_bytes_are_those_that_were_printed_from_any_offset(
    lines: list[tuple[int, bytes]], out: int, err: int
) -> None:
    lines = [*lines, (STDOUT, b"end"), (STDERR, b"end")]
    frames = LogFrames({STDOUT: out, STDERR: err})
    read = {STDOUT: b"", STDERR: b""}

    for pipe, frame in logged(lines):
        chunk = frames.take(pipe, frame)
        if chunk is not None:
            assert chunk.data
            read[chunk.pipe] += chunk.data

    for pipe, offset in ((STDOUT, out), (STDERR, err)):
        printed = b"".join(line + b"\n" for each, line in lines if each == pipe)
        assert read[pipe] == printed[offset:]


def test_a_line_that_has_kept_its_newline_gets_no_second_one() -> None:
    frames = LogFrames({})

    chunks = [frames.take(STDOUT, b"1 one\n"), frames.take(STDOUT, b"2 two\n")]

    assert [chunk.data for chunk in chunks if chunk] == [b"one\n", b"two\n"]


def test_spaces_in_the_text_are_not_the_timestamps() -> None:
    chunk = LogFrames({}).take(STDOUT, b"1  a b \n")

    assert chunk is not None
    assert chunk.data == b" a b \n"
