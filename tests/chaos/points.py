"""The places at which the service is killed, before or after a call that has an effect outside the process; and the
writes whose answers may get lost."""

import functools
import os
import signal
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from random import Random
from typing import Any

from chaser.errors import Unavailable
from chaser.jobs.ports import Progress
from chaser.jobs.reason import Reason
from chaser.sandboxes.courier import Courier
from chaser.sandboxes.engines.attachment import StreamAttachment
from chaser.sandboxes.engines.docker import DockerEngine
from chaser.store.jobs import Jobs
from chaser.store.logs import Logs

Arguments = tuple[Any, ...]


def always(_arguments: Arguments, _result: object) -> bool:
    return True


def something(_arguments: Arguments, result: object) -> bool:
    return bool(result)


@dataclass(frozen=True, slots=True)
class Point:
    """A call of `owner.method`; `counts` says which of them are passings, by their arguments and, after it, the result.

    The call of one that `streams` is passed with each item that it yields.
    """

    owner: type
    method: str
    after: bool
    counts: Callable[[Arguments, object], bool] = always
    streams: bool = False


def _before(owner: type, method: str, counts: Callable[[Arguments, object], bool] = always) -> Point:
    return Point(owner, method, after=False, counts=counts)


def _after(owner: type, method: str, counts: Callable[[Arguments, object], bool] = always) -> Point:
    return Point(owner, method, after=True, counts=counts)


def _amid(owner: type, method: str) -> Point:
    return Point(owner, method, after=True, streams=True)


def _progress(arguments: Arguments) -> Progress:
    (progress,) = (each for each in arguments if isinstance(each, Progress))
    return progress


def _in_a_step(arguments: Arguments, _result: object) -> bool:
    """A later step of several has begun and not ended."""
    steps = _progress(arguments).steps
    return len(steps) > 1 and steps[-1].ended_at is None


def _between_steps(arguments: Arguments, _result: object) -> bool:
    """A step has ended, and the next is not known to have begun."""
    steps = _progress(arguments).steps
    return bool(steps) and steps[-1].ended_at is not None


NAMED: Mapping[str, Point] = {
    "after the claim": _after(Jobs, "claim", something),
    "after create": _after(DockerEngine, "create"),
    "after start": _after(DockerEngine, "start_container"),
    "before the hand-over": _before(Jobs, "hand_over"),
    "after the hand-over": _after(StreamAttachment, "send"),
    "in mid-output": _after(Logs, "append"),
    "after exit": _after(DockerEngine, "exited"),
    "before finish": _before(Jobs, "finish"),
}
"""Those that every run of these tests passes."""

OTHERS: Mapping[str, Point] = {
    "after the hand-over is noted": _after(Jobs, "hand_over"),
    "before the sandbox is named": _before(Jobs, "name_sandbox"),
    "before create": _before(DockerEngine, "create"),
    "before begin": _before(Jobs, "begin"),
    "after begin": _after(Jobs, "begin"),
    "before output is stored": _before(Logs, "append"),
    "in a step": _after(Logs, "append", _in_a_step),
    "between steps": _after(Logs, "append", _between_steps),
    "before files come in": _before(DockerEngine, "put_archive"),
    "after files came in": _after(DockerEngine, "put_archive"),
    "in the middle of artifacts": _amid(DockerEngine, "get_archive"),
    "after artifacts": _after(Courier, "collect"),
    "after finish": _after(Jobs, "finish"),
    "before removal": _before(DockerEngine, "remove"),
    "after removal": _after(DockerEngine, "remove"),
    "after a volume is made": _after(DockerEngine, "create_volume"),
    "before a volume goes": _before(DockerEngine, "remove_volume"),
    "after a volume has gone": _after(DockerEngine, "remove_volume"),
    "after a job is accepted": _after(Jobs, "enqueue"),
    "after promotion": _after(Jobs, "promote", something),
    "after a retry is queued": _after(Jobs, "requeue"),
}

WHILE_TAKING_OVER: Mapping[str, Point] = {
    "before taking over": _before(Jobs, "take_over"),
    "after taking over": _after(Jobs, "take_over", something),
    "while reading again": _amid(DockerEngine, "log"),
    "after joining": _after(Jobs, "join"),
}
"""Passed by a service that starts after another was killed in the middle: a crash on top of a crash."""

POINTS: Mapping[str, Point] = {**NAMED, **OTHERS, **WHILE_TAKING_OVER}


def arm(point: Point, passing: int, how: signal.Signals) -> None:
    """Have this process sent that signal at that passing: SIGKILL as a power cut, SIGTERM as a stop."""
    original: Callable[..., Any] = getattr(point.owner, point.method)
    left = passing

    def passed(arguments: Arguments, result: object) -> None:
        nonlocal left
        if point.counts(arguments, result):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), how)

    @functools.wraps(original)
    async def call(*arguments: object, **named: object) -> object:
        given = (*arguments, *named.values())
        if not point.after:
            passed(given, None)
        result = await original(*arguments, **named)
        if point.after:
            passed(given, result)
        return result

    @functools.wraps(original)
    async def generate(*arguments: object, **named: object) -> AsyncGenerator[object]:
        async with aclosing(original(*arguments, **named)) as items:
            async for item in items:
                yield item
                passed(arguments, item)

    setattr(point.owner, point.method, generate if point.streams else call)


WRITES: Sequence[tuple[type, str]] = (
    *(
        (Jobs, name)
        for name in ("enqueue", "claim", "name_sandbox", "hand_over", "begin", "finish", "requeue")
    ),
    *((Jobs, name) for name in ("take_over", "sandbox_gone", "promote", "heartbeat", "request_cancel")),
    (Logs, "append"),
)


def lose_answers(random: Random, probability: float) -> None:
    """Have so many of the database's answers get lost after it has done as asked: nobody knows then what it did."""
    for owner, method in WRITES:
        setattr(owner, method, _losing(getattr(owner, method), random, probability))


def _losing(original: Callable[..., Any], random: Random, probability: float) -> Callable[..., Any]:
    @functools.wraps(original)
    async def call(*arguments: object, **named: object) -> object:
        result = await original(*arguments, **named)
        if random.random() < probability:
            raise Unavailable(Reason.STORE_UNAVAILABLE, "Its answer got lost.")
        return result

    return call
