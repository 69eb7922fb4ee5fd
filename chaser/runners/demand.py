"""A demand: one workflow job at GitHub, and what we owe it. Pure.

What GitHub tells may come late, twice, in any order, or not at all. So a demand is not moved by events one by one: what
they say is merged, and the state follows from all that was said. A job that has ended at GitHub owes nothing any more,
whatever is heard later.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from chaser.ids import JobId
from chaser.runners.event import WorkflowJobEvent
from chaser.runners.inbox import Decision, JobNews, Learned

MOST_RUNNERS = 20
"""Runners that one demand is given: each may be taken by another job, or end without having served one."""

_EXHAUSTED = (
    f"{MOST_RUNNERS} runners were made for this job, and each was given another one or ended without serving it. "
    "Look at their logs, and re-run the job."
)
_UNINSTALLED = "The App was uninstalled. Install it again, and re-run the job."
_VANISHED = (
    "GitHub does not show this job any more: its run was deleted, or the App may not see the repository now. "
    "Should GitHub tell of it again, it is served."
)


class State(StrEnum):
    WAITING = "waiting"
    """GitHub holds it back, until an environment's rules are fulfilled. Nothing is owed."""
    REFUSED = "refused"
    """We do not run it; the message says why."""
    SCREENING = "screening"
    """GitHub is being asked what run it is of."""
    HELD = "held"
    """It waits for somebody's approval here; the message says why."""
    PLANNED = "planned"
    """A runner is owed: its job is in the queue."""
    STARTING = "starting"
    """Its runner's sandbox is being prepared, or the runner is on its way to GitHub."""
    ONLINE = "online"
    """Its runner listens; GitHub has to give it the job."""
    RUNNING = "running"
    """A runner has it; whose, its name tells."""
    DONE = "done"
    """A runner had it, and it has ended."""
    CANCELLED = "cancelled"
    """It has ended without a runner, or nobody can register one for it any more."""


OWED = frozenset({State.PLANNED, State.STARTING, State.ONLINE})
"""Those that a runner is owed."""
OPEN = OWED | {State.WAITING, State.SCREENING, State.HELD}
ENDED = frozenset({State.DONE, State.CANCELLED})

_TOLD = frozenset({State.RUNNING, State.DONE, State.CANCELLED})
_NOT_YET = frozenset({State.WAITING, State.SCREENING, State.HELD, State.REFUSED})
TRANSITIONS: Mapping[State, frozenset[State]] = {
    **{state: (_NOT_YET - {state}) | {State.PLANNED} | _TOLD for state in _NOT_YET},
    State.PLANNED: frozenset({State.STARTING, State.ONLINE, State.WAITING, State.REFUSED}) | _TOLD,
    State.STARTING: frozenset({State.PLANNED, State.ONLINE, State.WAITING, State.REFUSED}) | _TOLD,
    State.ONLINE: frozenset({State.PLANNED, State.WAITING, State.REFUSED}) | _TOLD,
    State.RUNNING: ENDED,
    State.DONE: frozenset(),
    State.CANCELLED: frozenset({State.DONE}),
}
"""`starting → planned`: its runner was given another job. `cancelled → done`: that it had a runner is learned late."""


class Clearance(StrEnum):
    """What was made of the run that a demand is of."""

    NOT_NEEDED = "not_needed"
    """Only those who may push there can have made it."""
    PENDING = "pending"
    """GitHub is to be asked."""
    PASSED = "passed"
    REFUSED = "refused"
    HELD = "held"
    APPROVED = "approved"
    """It was held, and somebody approved it."""


CLEAR = frozenset({Clearance.NOT_NEEDED, Clearance.PASSED, Clearance.APPROVED})
"""Those with which a runner is made."""

_RANK = {"in_progress": 1, "completed": 2}
"""Of two events about a job the one that is further on counts."""


@dataclass(frozen=True, slots=True)
class Demand:
    state: State
    said: WorkflowJobEvent
    """What GitHub has said so far, merged."""
    decision: Decision
    message: str | None
    clearance: Clearance
    profile: str | None
    """The one that it is to run in; none: it was not accepted."""
    job_id: JobId | None
    """The job whose runner serves it, or is meant to. No two demands have the same."""
    runners: int
    """How many were made for it."""
    taken_by: int | None
    """The workflow job that was given its runner, the last time that this happened."""
    seen_at: datetime
    changed_at: datetime
    learned: Learned = Learned.WEBHOOK
    """How the first news of it came."""
    setback: str | None = None
    """How its last runner ended that did not serve it, and what can be done, in a sentence."""

    @property
    def id(self) -> int:
        return self.said.job_id

    @property
    def owed(self) -> bool:
        return self.state in OWED

    @property
    def admitted(self) -> bool:
        """Whether it may have one of our runners, whatever it has come to."""
        return self.decision is Decision.ACCEPTED and self.clearance in CLEAR


def origin(workflow_job_id: int, runner: int) -> str:
    """The origin of the job that is a demand's first, second, … runner."""
    whole = f"github/workflow_job/{workflow_job_id}"
    return whole if runner == 1 else f"{whole}/{runner}"


def first(news: JobNews, at: datetime, learned: Learned = Learned.WEBHOOK) -> Demand:
    """The demand of which this is the first that we hear."""
    clearance = _clearance(news)
    return Demand(
        state=_state(news.event, news.decision, clearance),
        said=news.event,
        decision=news.decision,
        message=news.message,
        clearance=clearance,
        profile=news.profile,
        job_id=None,
        runners=0,
        taken_by=None,
        seen_at=at,
        changed_at=at,
        learned=learned,
    )


def heard(known: Demand, news: JobNews, at: datetime) -> Demand:
    """The demand after some more news. Those that change nothing give what is known."""
    told = replace(known, said=merged(known.said, news.event))
    # The App's delivery and that of a webhook without an App may both come; and settings change.
    if news.decision is Decision.ACCEPTED and known.decision is not Decision.ACCEPTED:
        told = decided(told, news)
    told = settled(told)
    if known.state is State.REFUSED and told.state in OPEN and told.message == known.message:
        told = replace(told, message=None)
    return known if told == known else replace(told, changed_at=at)


def decided(demand: Demand, news: JobNews) -> Demand:
    """With what was decided of it now, whatever was before."""
    return replace(
        demand,
        decision=news.decision,
        message=news.message,
        clearance=_clearance(news),
        profile=news.profile,
    )


def _clearance(news: JobNews) -> Clearance:
    return Clearance.PENDING if news.screen else Clearance.NOT_NEEDED


def settled(demand: Demand) -> Demand:
    """In the state that follows from all that is known."""
    told = _state(demand.said, demand.decision, demand.clearance)
    return replace(demand, state=_next(demand.state, told))


def merged(known: WorkflowJobEvent, new: WorkflowJobEvent) -> WorkflowJobEvent:
    """What both say together, whichever came first."""
    later, earlier = (known, new) if _goes_before(new, known) else (new, known)
    return replace(
        later,
        installation_id=later.installation_id or earlier.installation_id,
        gated_at=later.gated_at or earlier.gated_at,
        runner_id=later.runner_id or earlier.runner_id,
        runner_name=later.runner_name or earlier.runner_name,
    )


def _goes_before(new: WorkflowJobEvent, known: WorkflowJobEvent) -> bool:
    """`queued` and `waiting` take turns, and only their deployment's time orders them; without it the last word counts."""
    ranks = _RANK.get(new.action, 0), _RANK.get(known.action, 0)
    if ranks != (0, 0):
        return ranks[0] < ranks[1]
    return new.gated_at is not None and known.gated_at is not None and new.gated_at < known.gated_at


def _state(said: WorkflowJobEvent, decision: Decision, clearance: Clearance) -> State:
    match said.action:
        case "completed":
            return State.DONE if said.runner_id or said.runner_name else State.CANCELLED
        case "in_progress":
            return State.RUNNING
        case _ if decision is not Decision.ACCEPTED or clearance is Clearance.REFUSED:
            return State.REFUSED
        case "waiting":
            return State.WAITING
        case _ if clearance is Clearance.PENDING:
            return State.SCREENING
        case _ if clearance is Clearance.HELD:
            return State.HELD
        case _:
            return State.PLANNED


def _next(state: State, told: State) -> State:
    if state in OWED and told is State.PLANNED:
        return state
    return told if told in TRANSITIONS[state] else state


def reached(demand: Demand, state: State, at: datetime) -> Demand:
    """The demand after its runner has come so far; what GitHub said meanwhile counts more."""
    if not demand.owed or state not in TRANSITIONS[demand.state]:
        return demand
    return replace(demand, state=state, changed_at=at)


def exhausted(demand: Demand, at: datetime) -> Demand:
    last = f" The last one: {demand.setback}" if demand.setback else ""
    return replace(demand, state=State.REFUSED, message=_EXHAUSTED + last, changed_at=at)


def unserved(demand: Demand, setback: str, at: datetime) -> Demand:
    """Its runner has ended without having served it: it needs another one, if it still waits."""
    state = State.PLANNED if demand.owed else demand.state
    return replace(demand, state=state, setback=setback, changed_at=at)


def uninstalled(demand: Demand, at: datetime) -> Demand:
    return replace(demand, state=State.CANCELLED, message=_UNINSTALLED, changed_at=at)


def vanished(demand: Demand, at: datetime) -> Demand:
    """GitHub does not show it. What waited may be shown again, and is not given up for good: GitHub errs at times."""
    if demand.state in OPEN:
        return replace(demand, state=State.REFUSED, message=_VANISHED, changed_at=at)
    if demand.state is State.RUNNING:
        return replace(demand, state=State.CANCELLED, message=_VANISHED, changed_at=at)
    return demand


def robbed(demand: Demand, taker: Demand, at: datetime) -> Demand:
    """Its runner was given another job: it needs one again, if it still waits."""
    state = State.PLANNED if demand.owed else demand.state
    return replace(demand, state=state, job_id=None, taken_by=taker.id, changed_at=at)


def fits(waiting: Demand, spare: Demand) -> bool:
    """Whether GitHub may give the one the runner that was made for the other: its labels suffice, and its scope reaches.

    A runner of a public repository is registered with that repository alone. One in another profile will not do: what
    runs there may have been put there for want of trust.
    """
    job, other = waiting.said, spare.said
    mine, its = ({label.lower() for label in said.labels} for said in (job, other))
    together = job.organization is not None and job.organization == other.organization
    reaches = job.repository == other.repository or (together and job.private and other.private)
    # What was taken in by a version that noted none is in the profile that its label names.
    alike = None in {waiting.profile, spare.profile} or waiting.profile == spare.profile
    return mine <= its and reaches and alike and job.installation_id == other.installation_id
