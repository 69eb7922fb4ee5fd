"""Pieces of output in order, small neighbours joined, their bytes counted and their places kept."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaser.jobs.logs import Stream
from chaser.sandboxes.engine import STDERR, STDOUT
from chaser.sandboxes.pieces import OVERHEAD, PIECE, Piece, Pieces, joined

AT = datetime(2026, 1, 1, tzinfo=UTC)
PIPES = {STDOUT: Stream.STDOUT, STDERR: Stream.STDERR}
Cuts = Sequence[tuple[int, int, bytes]]
CUTS = st.lists(
    st.tuples(st.sampled_from([STDOUT, STDERR]), st.integers(0, 1), st.binary(min_size=1, max_size=20)),
    max_size=40,
)
"""Pipe, step and bytes."""


def placed(cuts: Cuts) -> list[Piece]:
    """The pieces, each with its place in its pipe."""
    ends = {STDOUT: 0, STDERR: 0}
    pieces: list[Piece] = []
    for pipe, step, data in cuts:
        ends[pipe] += len(data)
        pieces.append(Piece(PIPES[pipe], data, AT, ends[pipe], pipe, step, covered=len(data)))
    return pieces


def filled(pieces: Sequence[Piece]) -> Pieces:
    whole = Pieces()
    for piece in pieces:
        whole.append(piece)
    return whole


def flat(pieces: Sequence[Piece]) -> list[tuple[int, int, int, int]]:
    """Each byte with its pipe, its step and its place."""
    return [
        (piece.pipe, piece.step, piece.end - len(piece.data) + at, byte)
        for piece in pieces
        for at, byte in enumerate(piece.data)
    ]


@given(cuts=CUTS, limit=st.integers(0, 200))
def test_taking_gives_all_bytes_in_order_and_in_their_places(cuts: Cuts, limit: int) -> None:
    pieces = filled(placed(cuts))
    taken: list[Piece] = []
    while pieces:
        some = pieces.take(limit)
        assert len(some) == 1 or sum(len(piece.data) for piece in some) <= limit
        taken += some

    assert flat(taken) == flat(placed(cuts))
    assert pieces.weight == 0


@given(cuts=CUTS)
def test_small_neighbours_of_one_pipe_and_step_are_one_piece(cuts: Cuts) -> None:
    runs = len(list(groupby((pipe, step) for pipe, step, _ in cuts)))

    pieces = filled(placed(cuts))

    assert pieces.weight == sum(len(data) for _, _, data in cuts) + OVERHEAD * runs
    taken = pieces.take(10**6)
    assert len(taken) == runs
    if cuts:
        assert taken[-1].covered == len(cuts[-1][2])


@given(cuts=CUTS, limit=st.integers(0, 2000))
def test_shortening_leaves_the_last_bytes_and_counts_the_rest(cuts: Cuts, limit: int) -> None:
    pieces = filled(placed(cuts))

    dropped = pieces.shorten(limit)

    assert pieces.weight <= limit
    left, whole = flat(pieces.take(10**6)), flat(placed(cuts))
    assert dropped + len(left) == len(whole)
    assert left == whole[dropped:]


def test_a_piece_grows_only_so_far() -> None:
    pieces = filled(placed([(STDOUT, 0, b"x" * 1000)] * 1000))

    assert max(len(piece.data) for piece in pieces.take(10**7)) <= PIECE


def test_a_gap_is_joined_with_nothing() -> None:
    gap = Piece(Stream.GAP, b"", AT, 0)

    assert filled([gap, gap]).take(10) == [gap, gap]


@given(cuts=CUTS)
def test_joining_changes_no_byte(cuts: Cuts) -> None:
    assert flat(joined(placed(cuts))) == flat(placed(cuts))


@pytest.mark.parametrize("at", range(7))
def test_a_cut_piece_is_in_its_place_with_both_parts(at: int) -> None:
    piece = Piece(Stream.OUTPUT, b"abcdef", AT, 106)

    head, rest = piece.cut(at)

    parts = [part for part in (head, rest) if part is not None]
    assert flat(parts) == flat([piece])
    assert len(head.data if head else b"") == at


def test_a_mask_is_not_cut() -> None:
    mask = Piece(Stream.OUTPUT, b"***", AT, 20, masked=True)

    assert mask.cut(2) == (None, mask)
    assert mask.cut(3) == (mask, None)
