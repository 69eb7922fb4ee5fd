"""Why a workflow job waits, or was refused, and what can be done: sentences for whoever asks. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from chaser.jobs.job import Job, Status
from chaser.runners.demand import Demand, State
from chaser.runners.inbox import Learned

LATE = timedelta(seconds=30)
"""What GitHub usually needs to deliver an event is a few seconds."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known besides the demand itself."""

    job: Job | None
    """The queue's job whose runner serves it, or is meant to."""
    waits_for: str | None
    """What that job waits for, as a clause: `for a slot, behind 3 others`; none where it does not wait."""
    delivered_at: datetime | None
    """When the first delivery that told of it came; none where that is forgotten."""


def why(demand: Demand, known: Circumstances) -> str:
    """One or more sentences."""
    parts = (_state(demand, known), _unserved(demand), _taken(demand), _late(demand, known))
    return " ".join(part for part in parts if part)


def _state(demand: Demand, known: Circumstances) -> str:
    said = demand.said
    match demand.state:
        case State.REFUSED:
            return demand.message or "It was refused."
        case State.WAITING:
            where = f" at {said.html_url}" if said.html_url else ""
            return f"GitHub holds it back until its environment's rules are fulfilled; approve it{where}."
        case State.SCREENING:
            return "Its run is looked at: GitHub is asked what started it. If this lasts, the service's log says why."
        case State.HELD:
            where = f" at {said.html_url}" if said.html_url else ""
            return f"{demand.message or 'It is held.'} Look at it{where}, then: chaser github approve {demand.id}"
        case State.PLANNED | State.STARTING:
            return _runner_to_come(known)
        case State.ONLINE:
            return "Its runner listens; GitHub has to give it the job."
        case State.RUNNING:
            return _running(demand, known.job)
        case State.DONE:
            ended = f"It has ended{_on(demand)}, with the conclusion {said.conclusion or 'that GitHub did not tell'}."
            return " ".join(part for part in (ended, _cause(known.job)) if part)
        case State.CANCELLED:
            return (
                demand.message
                or "It has ended without a runner: GitHub, or whoever cancelled it, ended it first."
            )


def _runner_to_come(known: Circumstances) -> str:
    job = known.job
    if job is None:
        return "A runner for it is about to be planned."
    if job.status is Status.QUEUED:
        waits = (
            f"Its runner waits {known.waits_for}."
            if known.waits_for
            else "Its runner is about to be started."
        )
        # A try that failed says what went wrong; it is made again.
        return f"{waits} The last try failed: {job.setback.message}" if job.setback else waits
    if job.status.ended:
        return f"The job of its runner ended as {job.status.value}: {job.message or 'see its log'}"
    if job.handed_over_at is not None:
        return "Its runner was started, and has yet to be given the job by GitHub."
    return "The sandbox of its runner is being prepared."


def _running(demand: Demand, job: Job | None) -> str:
    """GitHub hears of a runner's death when it has missed it for ten minutes; here it is known at once."""
    if job is None or not job.status.ended:
        return f"It is running{_on(demand)}."
    why = job.message or "Its runner has ended, and GitHub is about to say how the job did."
    if job.status is Status.SUCCEEDED:
        return f"It was running{_on(demand)}. {why}"
    return (
        f"It was running{_on(demand)}, which is there no more ({job.reason or job.status.value}). {why} "
        "GitHub will end the job when it has missed the runner for some ten minutes."
    )


def _cause(job: Job | None) -> str | None:
    """What is known here of the end of its runner, where that was not as it should be."""
    if job is None or not job.status.ended or job.status is Status.CANCELLED:
        return None
    return job.message


def _on(demand: Demand) -> str:
    return f" on the runner {demand.said.runner_name}" if demand.said.runner_name else ""


def _unserved(demand: Demand) -> str | None:
    if demand.setback is None or not demand.owed:
        return None
    return f"The runner before did not serve it: {demand.setback}"


def _taken(demand: Demand) -> str | None:
    if demand.taken_by is None or not demand.owed:
        return None
    return (
        f"GitHub gave the runner that was made for it to the job {demand.taken_by}, whose labels it fits as well; "
        "a label that ends in -run${{ github.run_id }} keeps a runner for its run."
    )


def _late(demand: Demand, known: Circumstances) -> str | None:
    made, delivered = demand.said.created_at, known.delivered_at
    if made is None or delivered is None or delivered - made < LATE:
        return None
    late = f"{(delivered - made) // timedelta(seconds=1)} s after it was made"
    match demand.learned:
        case Learned.WEBHOOK:
            return f"GitHub told of it {late}."
        case Learned.REDELIVERY:
            return f"GitHub's delivery did not arrive; asked for once more, it came {late}."
        case Learned.POLL | Learned.START_UP:
            return f"No delivery told of it; it was found at GitHub {late}."
