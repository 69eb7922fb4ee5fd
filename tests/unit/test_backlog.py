"""Output that waits for the store, in memory and in a file: all of it, in order and with its places."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaser.jobs.logs import Stream
from chaser.sandboxes.backlog import Backlog
from chaser.sandboxes.pieces import Piece
from tests.unit.test_pieces import AT, CUTS, Cuts, flat, placed


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=CUTS, takes=st.lists(st.integers(0, 600), max_size=40))
def test_all_comes_out_in_order(tmp_path: Path, cuts: Cuts, takes: Sequence[int]) -> None:
    backlog = Backlog(tmp_path, memory_bytes=700)
    taken: list[Piece] = []

    for number, piece in enumerate(placed(cuts)):
        backlog.append(piece)
        if number < len(takes) and takes[number]:
            taken += backlog.take(takes[number])
    while backlog:
        taken += backlog.take(100)

    assert flat(taken) == flat(placed(cuts))
    assert not backlog.spilled
    assert list(tmp_path.iterdir()) == []
    backlog.close()


def test_all_that_is_known_of_a_piece_comes_back_from_the_file(tmp_path: Path) -> None:
    backlog = Backlog(tmp_path, memory_bytes=0)
    at = AT + timedelta(days=10_000, microseconds=1)
    piece = Piece(Stream.STDERR, b"data", at, end=1 << 40, pipe=2, step=1000, covered=500)
    gap = Piece(Stream.GAP, b"", datetime(1970, 1, 1, tzinfo=UTC), 0, 0, 3)
    backlog.append(Piece(Stream.STDOUT, b"in memory", AT, 9))
    for each in (piece, gap):
        backlog.append(each)
    assert backlog.spilled

    backlog.take(100)

    assert backlog.take(100) == [piece, gap]


def test_a_file_that_cannot_be_made_keeps_nothing_of_the_piece() -> None:
    backlog = Backlog(Path("/nonexistent"), memory_bytes=1)
    piece = Piece(Stream.OUTPUT, b"in memory", AT, 9)
    backlog.append(piece)

    with pytest.raises(OSError, match="No such file"):
        backlog.append(Piece(Stream.OUTPUT, b"lost", AT, 13))

    assert backlog.take(1000) == [piece]
    assert not backlog
