"""/v1/github and /v1/runners: what GitHub asked for, what became of it, and why something waits."""

import re
from datetime import datetime

from starlette.responses import Response

from chaser.api.body import read_query
from chaser.api.call import Call, shown
from chaser.api.schemas.github import (
    BudgetAnswer,
    BudgetList,
    DeliveryAnswer,
    GitHubJobAnswer,
    GitHubJobPage,
    GitHubJobQuery,
    GitHubJobStory,
    InstallationAnswer,
    InstallationList,
    LeftAnswer,
    Moments,
    RunnerEnd,
    WhyAnswer,
)
from chaser.api.schemas.jobs import Because, Waiting
from chaser.api.waiting import waiting
from chaser.clock import rfc3339
from chaser.errors import Rejected
from chaser.jobs.job import Job
from chaser.runners.budget import Spending
from chaser.runners.demand import Demand, State
from chaser.runners.inbox import Delivery
from chaser.runners.latency import Passage, Stage
from chaser.runners.ports import DemandFilter, Story
from chaser.runners.why import Circumstances, why

_NUMBER = re.compile(r"[1-9][0-9]{0,18}")
_NO_JOB = (
    "No delivery has told of such a workflow job; GET /v1/github/jobs lists those that are known. "
    "If GitHub shows it as queued, look at the App's recent deliveries."
)


async def index(call: Call) -> Response:
    query = read_query(call.request, GitHubJobQuery)
    found = await call.api.github.demands.list(
        # one more than shown tells whether there is a next page
        DemandFilter(query.state, query.repository, before=query.cursor, limit=query.limit + 1)
    )
    page = found[: query.limit]
    more = len(found) > query.limit
    data = [GitHubJobAnswer.model_validate(_fields(demand)) for demand in page]
    return shown(GitHubJobPage(data=data, next_cursor=page[-1].id if more else None))


async def read(call: Call) -> Response:
    story = await _story(call)
    job, sentence = await _why(call, story)
    passage = await call.api.github.passages.of(story.demand.id)
    return shown(
        GitHubJobStory.model_validate(
            {
                **_fields(story.demand),
                "why": sentence,
                "deliveries": [_delivery(delivery) for delivery in story.deliveries],
                "runner_end": _runner_end(job),
                "timeline": _timeline(passage, job),
            }
        )
    )


async def explain(call: Call) -> Response:
    story = await _story(call)
    _, sentence = await _why(call, story)
    return shown(WhyAnswer(workflow_job_id=story.demand.id, state=story.demand.state, why=sentence))


async def approve(call: Call) -> Response:
    """Of its run: whichever of its jobs are held, and those that are still to come."""
    story = await _story(call)
    if story.demand.state is not State.HELD:
        message = f"The job is {story.demand.state}, and not held: there is nothing to approve."
        raise Rejected(409, "not_held", message)
    await call.api.github.approve(story.demand, call.key.id)
    after = await _story(call)
    return shown(GitHubJobAnswer.model_validate(_fields(after.demand)))


async def installations(call: Call) -> Response:
    known = await call.api.github.installations.list()
    return shown(
        InstallationList(
            data=[
                InstallationAnswer(
                    id=each.id,
                    account=each.account,
                    account_type=each.account_type,
                    repository_selection=each.selection,
                    suspended_at=each.suspended_at,
                    deleted_at=each.deleted_at,
                    changed_at=each.changed_at,
                )
                for each in known
            ]
        )
    )


async def budget(call: Call) -> Response:
    return shown(BudgetList(data=[_spent(each) for each in call.api.github.spendings()]))


def _spent(spending: Spending) -> BudgetAnswer:
    return BudgetAnswer(
        installation_id=spending.installation_id,
        calls=dict(spending.calls),
        runners=spending.runners,
        calls_per_job=spending.calls_per_job,
        limited=spending.limited,
        waiting=spending.waiting,
        left={
            name: LeftAnswer(limit=left.limit, remaining=left.remaining, reset_at=left.reset_at)
            for name, left in spending.left.items()
        },
    )


async def _story(call: Call) -> Story:
    named = call.request.path_params["id"]
    number = int(named) if _NUMBER.fullmatch(named) and int(named) < 1 << 63 else None
    story = None if number is None else await call.api.github.demands.story(number)
    if story is None:
        raise Rejected(404, "workflow_job_not_found", _NO_JOB)
    return story


async def _why(call: Call, story: Story) -> tuple[Job | None, str]:
    job = await call.api.jobs.get(story.demand.job_id) if story.demand.job_id else None
    waits = await waiting(call.api, job, position=True) if job else None
    known = Circumstances(job, _clause(waits), _delivered(story))
    return job, why(story.demand, known)


def _clause(waits: Waiting | None) -> str | None:
    if waits is None:
        return None
    match waits.because:
        case Because.CAPACITY if waits.position:
            return f"for a slot, behind {waits.position} others"
        case Because.CAPACITY:
            return "for a slot: as many run as may, of its repository, installation or profile, or in all"
        case Because.SCHEDULED | Because.BACKOFF | Because.ENGINE_UNAVAILABLE if waits.until is not None:
            return f"for its next try, at {rfc3339(waits.until)}"
        case Because.DISK:
            return "for room on the disk"
        case because:
            return f"({because.value})"


def _delivered(story: Story) -> datetime | None:
    return min((delivery.received_at for delivery in story.deliveries), default=None)


def _runner_end(job: Job | None) -> RunnerEnd | None:
    if job is None or job.finished_at is None:
        return None
    return RunnerEnd(status=job.status, reason=job.reason, message=job.message, at=job.finished_at)


def _timeline(passage: Passage | None, job: Job | None) -> Moments:
    at = {stage: None if passage is None else passage.moments.get(stage) for stage in Stage}
    return Moments.model_validate(
        {
            **at,
            "handed_over": job.handed_over_at if job else None,
            "gone": job.finished_at if job else None,
        }
    )


def _delivery(delivery: Delivery) -> DeliveryAnswer:
    return DeliveryAnswer(
        delivery=delivery.guid,
        learned=delivery.learned,
        event=delivery.event,
        action=delivery.action,
        received_at=delivery.received_at,
        decision=delivery.decision,
        message=delivery.message,
    )


def _fields(demand: Demand) -> dict[str, object]:
    said = demand.said
    return {
        "workflow_job_id": demand.id,
        "state": demand.state,
        "repository": said.repository,
        "name": said.name,
        "workflow_name": said.workflow_name,
        "run_id": said.run_id,
        "run_attempt": said.run_attempt,
        "labels": list(said.labels),
        "url": said.html_url,
        "installation_id": said.installation_id,
        "decision": demand.decision,
        "message": demand.message,
        "clearance": demand.clearance,
        "profile": demand.profile,
        "conclusion": said.conclusion,
        "job_id": demand.job_id,
        "runners": demand.runners,
        "runner_name": said.runner_name,
        "taken_by": demand.taken_by,
        "setback": demand.setback,
        "created_at": said.created_at,
        "started_at": said.started_at if said.runner_name else None,
        "completed_at": said.completed_at,
        "seen_at": demand.seen_at,
        "learned": demand.learned,
        "changed_at": demand.changed_at,
    }
