"""Answers the job-started hook of runners that GitHub may have given a job for which none would have been made."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import structlog

from chaser.errors import Refused, Unavailable
from chaser.jobs.insist import insist_for
from chaser.jobs.job import Job
from chaser.jobs.kind import Ear, Plant
from chaser.jobs.logs import Frame
from chaser.jobs.row import text, texts
from chaser.measures import Measure, Sort
from chaser.runners.decide import Ours
from chaser.runners.demand import Clearance, Demand
from chaser.runners.hook import PATIENCE, Question, answer, questions
from chaser.runners.labels import Accepted, match_labels

LOOK = timedelta(seconds=1)
"""Between two looks for what GitHub has yet to tell, or has yet to be asked."""
MOST = 8
"""Questions of one runner: a job that has passed the hook can print more, and is not to keep anybody busy."""
_LONGEST = 200
"""Bytes of a question that may lie across two frames."""

log = structlog.stdlib.get_logger("chaser.gate")


@dataclass(frozen=True, slots=True)
class Reach:
    """Of a runner: which jobs GitHub may give it, and where they then run."""

    labels: frozenset[str]
    """In lower case."""
    profile: str


@dataclass(frozen=True, slots=True)
class May:
    """Run."""


@dataclass(frozen=True, slots=True)
class MayNot:
    message: str


@dataclass(frozen=True, slots=True)
class NotKnown:
    """Yet: GitHub has not told of it, or was not asked about its run."""


Word = May | MayNot | NotKnown


class Demands(Protocol):
    """The part of `chaser.runners.ports.Demands` that this takes."""

    async def of_run(self, run_id: int, attempt: int) -> Sequence[Demand]: ...


class Gate:
    def __init__(
        self,
        demands: Demands,
        ours: Ours,
        *,
        patience: timedelta = timedelta(seconds=PATIENCE - 10),
        look: timedelta = LOOK,
    ) -> None:
        """`patience` is shorter than the hook's own: so whoever is turned away is told why."""
        self._demands = demands
        self._ours = ours
        self._patience = patience
        self._looks = max(patience // look, 1)
        self._pause = look.total_seconds()
        self._tasks = set[asyncio.Task[None]]()
        self._words = {"passed": 0, "turned_away": 0}

    def ear(self, job: Job, plant: Plant) -> Ear:
        """Hears the hook's question, and has it answered."""
        labels = frozenset(label.lower() for label in texts(job.input, "labels"))
        reach = Reach(labels, text(job.input, "profile"))
        left, heard = b"", set[Question]()

        async def hear(frames: Sequence[Frame]) -> None:
            nonlocal left
            said = left + b"".join(frame.data for frame in frames)
            whole, _, left = said.rpartition(b"\n")
            left = left[-_LONGEST:]
            for question in questions(whole):
                if question not in heard and len(heard) < MOST:
                    heard.add(question)
                    self._begin(job, self._answer(reach, question, plant))

        return hear

    def _begin(self, job: Job, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work, name=f"gate {job.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def measures(self) -> Sequence[Measure]:
        values = {(("answer", name),): float(count) for name, count in self._words.items()}
        text = "Jobs that were given a runner made for another one, by whether they might run."
        return [Measure("chaser_github_strays_total", text, Sort.COUNTER, values)]

    async def _answer(self, reach: Reach, question: Question, plant: Plant) -> None:
        word = await self._word(reach, question)
        refusal = word.message if isinstance(word, MayNot) else None
        self._words["passed" if refusal is None else "turned_away"] += 1
        log.info(
            "A runner was given a job that it was not made for.",
            action="stray",
            run_id=question.run_id,
            turned_away=refusal is not None,
        )
        try:
            await insist_for(self._patience, lambda: plant([answer(question, refusal)]))
        except (Refused, Unavailable) as error:  # it is gone, or is turned away by its own patience
            log.warning("Could not answer a runner.", action="unanswered", error=error.message)

    async def _word(self, reach: Reach, question: Question) -> May | MayNot:
        for _ in range(self._looks):
            try:
                found = await self._demands.of_run(question.run_id, question.attempt)
            except Unavailable as error:
                log.warning("Could not look for a job.", action="unanswered_yet", error=error.message)
                found = ()
            word = may_run(found, reach, self._ours)
            if not isinstance(word, NotKnown):
                return word
            await asyncio.sleep(self._pause)
        return MayNot("Nobody has told this service of it, so nobody knows whose it is; re-run it.")


def may_run(demands: Sequence[Demand], reach: Reach, ours: Ours) -> Word:
    """Whether a job of this run may have the runner. It is one of those whose labels the runner has; which, the hook cannot
    say, and all of them are of the same commit."""
    possible = [each for each in demands if {label.lower() for label in each.said.labels} <= reach.labels]
    if any(each.admitted and _fits(each, reach, ours) for each in possible):
        return May()
    if not possible or any(each.clearance is Clearance.PENDING for each in possible):
        return NotKnown()
    (first, *_) = possible
    if not first.admitted:
        return MayNot(first.message or "Nobody has let its run run.")
    return MayNot(
        f"It is to run in the profile {first.profile!r}, and GitHub gave it a runner of {reach.profile!r}; re-run it. "
        "A label that ends in -run${{ github.run_id }} keeps a runner for its run."
    )


def _fits(demand: Demand, reach: Reach, ours: Ours) -> bool:
    """What was sent to another profile than its label's, for want of trust, runs there and nowhere else."""
    match = match_labels(demand.said.labels, ours.grammar)
    sent_elsewhere = isinstance(match, Accepted) and match.profile != demand.profile
    return not sent_elsewhere or demand.profile == reach.profile
