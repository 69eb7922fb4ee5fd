"""Listens to one sandbox: finds the marks on both pipes, keeps book of its steps, and passes the rest on as output."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from enum import Enum, auto
from typing import Final, Protocol

from chaser.clock import Clock
from chaser.jobs.logs import Stream
from chaser.sandboxes.ending import StepRun
from chaser.sandboxes.engine import STDERR, STDOUT
from chaser.sandboxes.markers import Begin, End, Mark, MarkScanner, Output, Ready
from chaser.sandboxes.pieces import Piece
from chaser.sandboxes.spec import Streams, Terms

SPLIT: Final = {STDOUT: Stream.STDOUT, STDERR: Stream.STDERR}


class Phase(Enum):
    """What is known of the boot script."""

    PREPARING = auto()
    READY = auto()
    BEGUN = auto()
    ENDED = auto()
    """The launch's END was seen on both pipes: they drain apart, and what one has may come after the other's END."""


class Sink(Protocol):
    """Where output goes; `chaser.sandboxes.output` is one."""

    def take(self, piece: Piece) -> None: ...

    def part(self, pipe: int) -> None: ...

    def gap(self, step: int, at: datetime) -> None: ...

    def note(self, steps: tuple[StepRun, ...], *, soon: bool) -> None: ...


class Capture:
    """The receiver of a sandbox's output, from its start to its end."""

    def __init__(self, clock: Clock) -> None:
        self.end: End | None = None
        """The END that was the launch's."""
        self.steps: tuple[StepRun, ...] = ()
        self.heard_at: datetime | None = None
        """When the last bytes were printed, or read where only that is known."""
        self.replayed = False
        """Whether any of it was read from the engine's log."""
        self._clock = clock
        self._scanners = {STDOUT: MarkScanner(), STDERR: MarkScanner()}
        self._step = {STDOUT: 0, STDERR: 0}
        self._over: set[int] = set()
        self._jumped = False
        self._sink: Sink | None = None
        self._terms: Terms | None = None
        self._phase = Phase.PREPARING
        self._connected = True
        self._news = asyncio.Event()

    @property
    def phase(self) -> Phase:
        return self._phase

    @property
    def connected(self) -> bool:
        return self._connected

    @property
    def raw(self) -> Mapping[int, int]:
        """The bytes heard so far, per pipe: the engine's log can be read on from there."""
        return {pipe: scanner.position for pipe, scanner in self._scanners.items()}

    def listen(
        self,
        terms: Terms,
        sink: Sink | None = None,
        known: tuple[StepRun, ...] = (),
        *,
        begun: bool = False,
    ) -> None:
        """From the hand-over on: which marks to expect, where output goes, and what is known of the steps already."""
        self._terms = terms
        self._sink = sink
        self.steps = known
        for scanner in self._scanners.values():
            scanner.expect(terms.nonce)
        if known or begun:
            self._reach(Phase.BEGUN)

    def received(self, pipe: int, data: bytes, at: datetime | None = None) -> None:
        """`at`: when it was printed, where that is known; else it is now."""
        scanner = self._scanners.get(pipe)
        if scanner is None:
            return
        self.heard_at = at or self._clock.now()
        for mark in scanner.feed(data):
            self._note(pipe, mark, self.heard_at)

    def jump(self, progress: Mapping[int, int], at: datetime) -> None:
        """What follows is from the middle of a step, and what is before it nobody can tell any more: the engine's log
        has lost its begin. Its places are beyond those of `progress`. A log that is read again has lost no more."""
        if self._jumped:
            return
        self._jumped = True
        step = max(0, len(self.steps) - 1)
        for pipe, scanner in self._scanners.items():
            for mark in scanner.jump(progress.get(pipe, 0)):
                self._note(pipe, mark, at)
            self._step[pipe] = step
        self._gap(step, at)
        if not self.steps:
            self._note(STDOUT, Begin(0), at)
        self._reach(Phase.BEGUN)

    def conclude(self, end: End, at: datetime) -> None:
        """The launch's END was found without what lies before it."""
        self._gap(end.step, at)
        self._ended(end, at)
        self.end = end
        self._reach(Phase.ENDED)

    def disconnected(self) -> None:
        self._connected = False
        self._news.set()

    def finish(self) -> None:
        """No more will come from anywhere: what the scanners hold back is output."""
        for pipe, scanner in self._scanners.items():
            for mark in scanner.finish():
                self._note(pipe, mark, self._clock.now())

    def give_up(self) -> None:
        """Nobody can tell how it ended: what it printed last may have been lost with that."""
        self.finish()
        self._gap(max(0, len(self.steps) - 1), self._clock.now())

    async def until(self, phase: Phase) -> bool:
        """Wait for a phase; false if the connection ended first."""
        await self._until(lambda: self._phase.value >= phase.value or not self._connected)
        return self._phase.value >= phase.value

    async def closed(self) -> None:
        """Wait for the connection's end."""
        await self._until(lambda: not self._connected)

    async def begun(self, step: int) -> StepRun:
        """Wait until a step has begun."""
        await self._until(lambda: len(self.steps) > step)
        return self.steps[step]

    async def over(self, step: int) -> None:
        """Wait until a step that has begun has ended."""
        await self._until(lambda: self.steps[step].ended_at is not None)

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            await self._news.wait()
            self._news.clear()

    def _note(self, pipe: int, mark: Mark, at: datetime) -> None:
        match mark:
            case Output():
                self._print(pipe, mark, at)
            case Ready():
                self._reach(Phase.READY)
            case Begin(step=step):
                self._part(pipe)
                self._step[pipe] = step
                self._began(step, at)
                self._reach(Phase.BEGUN)
            case End():
                self._part(pipe)
                self._ended(mark, at)
                self._conclude(pipe, mark)

    def _print(self, pipe: int, mark: Output, at: datetime) -> None:
        if self._sink is None or self._terms is None:
            return
        stream = SPLIT[pipe] if self._terms.streams is Streams.SPLIT else Stream.OUTPUT
        self._sink.take(Piece(stream, mark.data, at, mark.end, pipe, self._step[pipe]))

    def _part(self, pipe: int) -> None:
        if self._sink is not None:
            self._sink.part(pipe)

    def _gap(self, step: int, at: datetime) -> None:
        if self._sink is not None:
            self._sink.gap(step, at)

    def _began(self, step: int, at: datetime) -> None:
        """Both pipes tell of it, and the log tells again what is known: the first word counts."""
        if step >= len(self.steps):
            self._know(self.steps + (StepRun(at),) * (step + 1 - len(self.steps)))

    def _ended(self, end: End, at: datetime) -> None:
        self._began(end.step, at)
        run = self.steps[end.step]
        if run.ended_at is not None:
            return
        earlier = sum(each.oom_kills for each in self.steps[: end.step])
        ended = replace(
            run,
            ended_at=at,
            exit_code=end.exit_code,
            oom_kills=max(0, end.oom_kills - earlier),
            timed_out=end.cut and end.exit_code != 0,
        )
        self._know((*self.steps[: end.step], ended, *self.steps[end.step + 1 :]))

    def _know(self, steps: tuple[StepRun, ...]) -> None:
        self.steps = steps
        self._news.set()
        if self._sink is not None and self._terms is not None:
            # One step's begin and end are the job's own, which are written anyway.
            self._sink.note(steps, soon=len(self._terms.steps) > 1)

    def _conclude(self, pipe: int, end: End) -> None:
        """Whether this END is the launch's: no step follows, or none may."""
        assert self._terms is not None
        steps = self._terms.steps
        if end.step + 1 < len(steps) and (end.exit_code == 0 or steps[end.step].may_fail):
            return
        self.end = end
        self._over.add(pipe)
        if len(self._over) == len(self._scanners):
            self._reach(Phase.ENDED)

    def _reach(self, phase: Phase) -> None:
        if phase.value > self._phase.value:
            self._phase = phase
            self._news.set()
