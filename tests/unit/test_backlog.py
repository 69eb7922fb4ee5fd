"""Output that waits for the store, in memory and in a file: all of it, in order."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaser.jobs.ports import Stream
from chaser.sandboxes.backlog import Backlog

STEP = st.one_of(
    st.tuples(st.sampled_from([Stream.STDOUT, Stream.STDERR]), st.binary(min_size=1, max_size=300)),
    st.integers(1, 600),
)
"""Something that comes, or how much is taken."""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, max_size=40))
def test_all_comes_out_in_order(tmp_path: Path, steps: Sequence[tuple[Stream, bytes] | int]) -> None:
    backlog = Backlog(tmp_path, memory_bytes=300)
    came: list[tuple[Stream, int]] = []
    taken: list[tuple[Stream, int]] = []

    def take(limit: int) -> None:
        taken.extend((stream, byte) for stream, data in backlog.take(limit) for byte in data)

    for step in steps:
        if isinstance(step, int):
            take(step)
        else:
            backlog.append(*step)
            came += [(step[0], byte) for byte in step[1]]
    while backlog:
        take(100)

    assert taken == came
    assert not backlog.spilled
    assert list(tmp_path.iterdir()) == []
    backlog.close()


def test_a_file_that_cannot_be_made_keeps_nothing_of_the_piece() -> None:
    backlog = Backlog(Path("/nonexistent"), memory_bytes=1)
    backlog.append(Stream.OUTPUT, b"in memory")

    with pytest.raises(OSError, match="No such file"):
        backlog.append(Stream.OUTPUT, b"lost")

    assert backlog.take(1000) == [(Stream.OUTPUT, b"in memory")]
    assert not backlog
