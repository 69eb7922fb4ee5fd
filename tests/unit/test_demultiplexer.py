"""Docker's attach stream, cut anywhere, gives each pipe its bytes in order."""

import struct
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from chaser.sandboxes.engines.attachment import Demultiplexer
from tests.unit.test_markers import PLACES, cut

FRAMES = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=100)), max_size=20)


@dataclass
class Pieces:
    heard: list[tuple[int, bytes]] = field(default_factory=list[tuple[int, bytes]])

    def received(self, pipe: int, data: bytes) -> None:
        assert data
        self.heard.append((pipe, data))

    def disconnected(self) -> None: ...


@given(frames=FRAMES, places=PLACES)
def test_every_byte_reaches_its_pipe_in_order(frames: list[tuple[int, bytes]], places: list[int]) -> None:
    stream = b"".join(struct.pack(">BxxxL", pipe, len(data)) + data for pipe, data in frames)
    heard = Pieces()
    demultiplexer = Demultiplexer(heard)

    for piece in cut(stream, places):
        demultiplexer.feed(piece)

    assert flat(heard.heard) == flat(frames)


def test_a_frame_is_passed_on_before_it_is_whole() -> None:
    heard = Pieces()

    Demultiplexer(heard).feed(struct.pack(">BxxxL", 2, 1_000_000) + b"early")

    assert heard.heard == [(2, b"early")]


def flat(frames: list[tuple[int, bytes]]) -> list[tuple[int, int]]:
    return [(pipe, byte) for pipe, data in frames for byte in data]
