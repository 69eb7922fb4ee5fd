"""Listens to one sandbox: finds the marks on both pipes and passes the rest on as output."""

import asyncio
from collections.abc import Callable
from enum import Enum, auto

from chaser.jobs.ports import Stream
from chaser.sandboxes.engine import STDERR, STDOUT
from chaser.sandboxes.markers import Begin, End, Mark, MarkScanner, Output, Ready
from chaser.sandboxes.spec import Launch, Streams

SPLIT = {STDOUT: Stream.STDOUT, STDERR: Stream.STDERR}


class Phase(Enum):
    """What is known of the boot script."""

    PREPARING = auto()
    READY = auto()
    BEGUN = auto()
    ENDED = auto()
    """The last END was seen on both pipes: they drain apart, and what one has may come after the other's END."""


class Capture:
    """The receiver of a sandbox's output, from its start to its end. `raw` counts the bytes seen per pipe, so that
    the engine's log can be read on from there."""

    def __init__(self) -> None:
        self.raw = {STDOUT: 0, STDERR: 0}
        self.end: End | None = None
        self._scanners = {STDOUT: MarkScanner(), STDERR: MarkScanner()}
        self._steps_left = {STDOUT: 1, STDERR: 1}
        self._sink: Callable[[Stream, bytes], None] = _nowhere
        self._streams = Streams.MERGED
        self._phase = Phase.PREPARING
        self._connected = True
        self._news = asyncio.Event()

    @property
    def phase(self) -> Phase:
        return self._phase

    @property
    def connected(self) -> bool:
        return self._connected

    def listen(self, nonce: str, launch: Launch, sink: Callable[[Stream, bytes], None]) -> None:
        """From the hand-over on: which marks to expect, and where output goes."""
        self._streams = launch.streams
        self._sink = sink
        self._steps_left = dict.fromkeys(self._scanners, len(launch.steps))
        for scanner in self._scanners.values():
            scanner.expect(nonce)

    def received(self, pipe: int, data: bytes) -> None:
        scanner = self._scanners.get(pipe)
        if scanner is None:
            return
        self.raw[pipe] += len(data)
        for mark in scanner.feed(data):
            self._note(pipe, mark)

    def disconnected(self) -> None:
        self._connected = False
        self._news.set()

    def finish(self) -> None:
        """No more will come from anywhere: what the scanners hold back is output."""
        for pipe, scanner in self._scanners.items():
            for mark in scanner.finish():
                self._note(pipe, mark)

    async def until(self, phase: Phase) -> bool:
        """Wait for a phase; false if the connection ended first."""
        while self._phase.value < phase.value and self._connected:
            await self._news.wait()
            self._news.clear()
        return self._phase.value >= phase.value

    async def closed(self) -> None:
        """Wait for the connection's end."""
        while self._connected:
            await self._news.wait()
            self._news.clear()

    def _note(self, pipe: int, mark: Mark) -> None:
        match mark:
            case Output(data=data):
                self._sink(SPLIT[pipe] if self._streams is Streams.SPLIT else Stream.OUTPUT, data)
            case Ready():
                self._reach(Phase.READY)
            case Begin():
                self._reach(Phase.BEGUN)
            case End():
                self._steps_left[pipe] -= 1
                if self._steps_left[pipe] == 0:
                    self.end = mark
                if not any(self._steps_left.values()):
                    self._reach(Phase.ENDED)

    def _reach(self, phase: Phase) -> None:
        if phase.value > self._phase.value:
            self._phase = phase
            self._news.set()


def _nowhere(stream: Stream, data: bytes) -> None:
    """Before the hand-over there is no output."""
