"""What is known of a sandbox from what it prints."""

import asyncio
from datetime import timedelta

from chaser.jobs.ports import Stream
from chaser.sandboxes.capture import Capture, Phase
from chaser.sandboxes.engine import STDERR, STDOUT
from chaser.sandboxes.markers import End
from chaser.sandboxes.spec import Launch, Step, Streams

NONCE = "a" * 32
BEGIN = f"\x1eBEGIN {NONCE}\x1e\n".encode()
END = f"\x1eEND {NONCE} 3 1\x1e\n".encode()


def listening(
    streams: Streams = Streams.MERGED, steps: int = 1
) -> tuple[Capture, list[tuple[Stream, bytes]]]:
    heard: list[tuple[Stream, bytes]] = []
    capture = Capture()
    launch = Launch((Step("true"),) * steps, timedelta(seconds=1), streams)
    capture.listen(NONCE, launch, lambda stream, data: heard.append((stream, data)))
    return capture, heard


async def test_phases_are_reached_in_turn() -> None:
    capture = Capture()
    assert capture.phase is Phase.PREPARING
    capture.received(STDOUT, b"READY\n")
    assert await capture.until(Phase.READY)

    capture.listen(NONCE, Launch((Step("true"),), timedelta(seconds=1)), lambda stream, data: None)
    capture.received(STDERR, BEGIN)
    assert await capture.until(Phase.BEGUN)


async def test_the_end_is_known_when_both_pipes_have_told_it() -> None:
    capture, heard = listening(Streams.SPLIT)
    capture.received(STDOUT, BEGIN + b"out" + END)
    capture.received(STDERR, BEGIN + b"err")
    assert capture.phase is Phase.BEGUN

    capture.received(STDERR, b"more" + END)

    assert capture.phase is Phase.ENDED
    assert capture.end == End(3, 1)
    assert heard == [(Stream.STDOUT, b"out"), (Stream.STDERR, b"err"), (Stream.STDERR, b"more")]


async def test_the_end_is_that_of_the_last_step() -> None:
    capture, _ = listening(steps=2)
    for pipe in (STDOUT, STDERR):
        capture.received(pipe, BEGIN + END)
    assert (capture.phase, capture.end) == (Phase.BEGUN, None)

    for pipe in (STDOUT, STDERR):
        capture.received(pipe, BEGIN + END)
    assert (capture.phase, capture.end) == (Phase.ENDED, End(3, 1))


async def test_raw_bytes_are_counted_marks_and_all() -> None:
    capture, _ = listening()
    capture.received(STDOUT, BEGIN + b"out")
    capture.received(STDERR, b"12")
    capture.received(0, b"a pipe that does not exist")

    assert capture.raw == {STDOUT: len(BEGIN) + 3, STDERR: 2}


async def test_a_wait_ends_with_the_connection() -> None:
    capture, _ = listening()
    waiting = asyncio.create_task(capture.until(Phase.ENDED))
    await asyncio.sleep(0)

    capture.disconnected()

    assert await waiting is False
    assert capture.connected is False
    await capture.closed()


async def test_what_was_held_back_is_output_at_the_end() -> None:
    capture, heard = listening()
    capture.received(STDOUT, BEGIN + b"text" + BEGIN[:5])

    capture.finish()

    assert b"".join(data for _, data in heard) == b"text" + BEGIN[:5]
