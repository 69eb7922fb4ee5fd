"""Pieces of output in order, small neighbours joined, and their bytes counted."""

from collections.abc import Sequence
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from chaser.jobs.ports import Stream
from chaser.sandboxes.pieces import OVERHEAD, PIECE, Pieces, joined

STREAMS = st.sampled_from([Stream.STDOUT, Stream.STDERR])
APPENDS = st.lists(st.tuples(STREAMS, st.binary(min_size=1, max_size=20)), max_size=40)
Appends = Sequence[tuple[Stream, bytes]]


def filled(appends: Appends) -> Pieces:
    pieces = Pieces()
    for stream, data in appends:
        pieces.append(stream, data)
    return pieces


def flat(pieces: Appends) -> list[tuple[Stream, int]]:
    """Each byte with its stream."""
    return [(stream, byte) for stream, data in pieces for byte in data]


@given(appends=APPENDS, limit=st.integers(0, 200))
def test_taking_gives_all_bytes_in_order(appends: Appends, limit: int) -> None:
    pieces = filled(appends)
    taken: list[tuple[Stream, bytes]] = []
    while pieces:
        some = pieces.take(limit)
        assert len(some) == 1 or sum(len(data) for _, data in some) <= limit
        taken += some

    assert flat(taken) == flat(appends)
    assert pieces.weight == 0


@given(appends=APPENDS)
def test_small_neighbours_of_one_stream_are_one_piece(appends: Appends) -> None:
    runs = len(list(groupby(stream for stream, _ in appends)))

    pieces = filled(appends)

    assert pieces.weight == sum(len(data) for _, data in appends) + OVERHEAD * runs
    assert len(pieces.take(10**6)) == runs


@given(appends=APPENDS, limit=st.integers(0, 2000))
def test_shortening_leaves_the_last_bytes_and_counts_the_rest(appends: Appends, limit: int) -> None:
    pieces = filled(appends)

    dropped = pieces.shorten(limit)

    assert pieces.weight <= limit
    left = flat(pieces.take(10**6))
    assert dropped + len(left) == len(flat(appends))
    assert left == flat(appends)[dropped:]


def test_a_piece_grows_only_so_far() -> None:
    pieces = filled([(Stream.STDOUT, b"x" * 1000)] * 1000)

    assert max(len(data) for _, data in pieces.take(10**7)) <= PIECE


@given(appends=APPENDS)
def test_joining_changes_no_byte(appends: Appends) -> None:
    assert flat(joined(appends)) == flat(appends)
