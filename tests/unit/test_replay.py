"""The engine's log, read into a capture that has heard a part of it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaser.clock import ManualClock
from chaser.sandboxes.boot import READY
from chaser.sandboxes.capture import Capture, Phase
from chaser.sandboxes.engine import STDERR, STDOUT, Chunk
from chaser.sandboxes.replay import HEAD, Replay
from tests.unit.test_capture import BEGIN, NONCE, Heard, end, terms
from tests.unit.test_markers import PLACES, cut
from tests.unit.test_pieces import AT

WHOLE = READY + BEGIN + b"some text" + end()


def log(out: bytes, places: list[int], err: bytes = BEGIN + end()) -> list[Chunk]:
    chunks = [Chunk(STDOUT, piece, AT) for piece in cut(out, places) if piece]
    return [*chunks, Chunk(STDERR, err, AT)]


def listening() -> tuple[Capture, Heard]:
    capture, heard = Capture(ManualClock()), Heard()
    capture.listen(terms(), heard)
    return capture, heard


def replay(capture: Capture, chunks: list[Chunk], **known: int) -> None:
    reading = Replay(capture, NONCE, {STDOUT: known.get("offset", 0)}, None)
    for chunk in chunks:
        reading.feed(chunk)
    reading.finish()


@given(places=PLACES)
def test_a_log_is_heard_whole(places: list[int]) -> None:
    capture, heard = listening()

    replay(capture, log(WHOLE, places))

    assert b"".join(data for _, _, data in heard.text) == b"some text"
    assert capture.phase is Phase.ENDED
    assert heard.gaps == []


@given(places=PLACES, before=st.integers(0, len(WHOLE)))
def test_what_was_heard_before_is_passed_over(places: list[int], before: int) -> None:
    capture, heard = listening()
    capture.received(STDOUT, WHOLE[:before])

    replay(capture, log(WHOLE, places))

    assert b"".join(data for _, _, data in heard.text) == b"some text"
    assert capture.raw[STDOUT] == len(WHOLE)


@given(places=PLACES)
def test_a_sandbox_that_has_only_said_ready_has_not_begun(places: list[int]) -> None:
    capture, _ = listening()

    replay(capture, log(READY, places, err=b"sh: a complaint of its surroundings\n"))

    assert capture.phase is Phase.PREPARING


@pytest.mark.parametrize(
    "out", [b"text" + end(), b"x" * (2 * HEAD), READY + b"text" + end(), b"READY\n" * HEAD]
)
def test_a_log_without_its_begin_is_marked_as_a_gap_once(out: bytes) -> None:
    capture, heard = listening()

    replay(capture, log(out, [5]), offset=1000)
    replay(capture, log(out, [5]), offset=1000)

    assert heard.gaps == [0]
    assert heard.pieces[0].end > 1000
    assert capture.phase.value >= Phase.BEGUN.value


def test_in_a_log_without_its_begin_what_is_not_newer_is_passed_over() -> None:
    capture, heard = listening()
    capture.received(STDOUT, READY + BEGIN + b"old", AT)
    chunks = log(b"old", []) + [
        replace(chunk, at=AT + timedelta(milliseconds=1)) for chunk in log(b"new" + end(), [])
    ]

    replay(capture, chunks)

    assert [data for _, _, data in heard.text] == [b"old", b"new"]
