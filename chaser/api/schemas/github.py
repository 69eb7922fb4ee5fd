"""The routes under /v1/github, and /v1/runners."""

from typing import Annotated

from pydantic import Field

from chaser.api.schemas.common import Limit, Moment, Query, Shown
from chaser.runners.demand import Clearance, State
from chaser.runners.inbox import Decision, Learned

_ID = Annotated[int, Field(ge=1, lt=1 << 63)]


class GitHubJobQuery(Query):
    state: State | None = None
    repository: Annotated[str, Field(max_length=201, description="`owner/name`")] | None = None
    limit: Limit = 20
    cursor: Annotated[_ID, Field(description="`next_cursor` of the page before.")] | None = None


class GitHubJobAnswer(Shown):
    """A workflow job at GitHub that is for this service."""

    workflow_job_id: int
    state: State
    repository: str
    name: str
    workflow_name: str | None
    run_id: int
    run_attempt: int
    labels: list[str] = Field(description="The values of `runs-on`.")
    url: str | None = Field(description="The job's page at GitHub.")
    installation_id: int | None
    decision: Decision
    message: str | None = Field(description="Why it was refused, is held, or was given up.")
    clearance: Clearance = Field(description="What was made of the run that it is of.")
    profile: str | None = Field(description="The profile that it runs in; null where it was not accepted.")
    conclusion: str | None = Field(description="As GitHub tells it.")
    job_id: str | None = Field(description="The job whose runner serves it, or is meant to.")
    runners: int = Field(description="How many were made for it.")
    runner_name: str | None = Field(description="The runner that GitHub gave it to.")
    taken_by: int | None = Field(description="The workflow job that was given a runner made for this one.")
    setback: str | None = Field(
        description="How its last runner ended that did not serve it, and what can be done."
    )
    created_at: Moment | None = Field(description="By GitHub's clock, as `started_at` and `completed_at`.")
    started_at: Moment | None
    completed_at: Moment | None
    seen_at: Moment = Field(description="When it was first heard of.")
    learned: Learned = Field(
        description="How: a delivery, one that GitHub was asked for again, or a look at its jobs."
    )
    changed_at: Moment


class GitHubJobPage(Shown):
    data: list[GitHubJobAnswer]
    next_cursor: int | None


class DeliveryAnswer(Shown):
    """A webhook delivery that told of the job, or a look at GitHub that showed it."""

    delivery: str = Field(description="GitHub's id, the same for a redelivery; of a look one of ours.")
    learned: Learned
    event: str
    action: str | None
    received_at: Moment
    decision: Decision
    message: str | None


class Moments(Shown):
    """How it went on. What has not happened, or is not known any more, is null."""

    created: Moment | None = Field(description="At GitHub, by GitHub's clock.")
    delivered: Moment | None = Field(description="The service heard of it.")
    stored: Moment | None = Field(description="What was heard was in the database.")
    planned: Moment | None
    started: Moment | None = Field(description="A sandbox for its runner was begun, the last time.")
    prepared: Moment | None = Field(description="That sandbox was ready.")
    minted: Moment | None = Field(description="GitHub had registered the runner.")
    handed_over: Moment | None = Field(description="The runner was given its configuration.")
    online: Moment | None = Field(description="The runner listened for jobs.")
    running: Moment | None = Field(description="By GitHub's clock.")
    completed: Moment | None = Field(description="By GitHub's clock.")
    gone: Moment | None = Field(description="The runner has ended, and its registration is gone.")


class RunnerEnd(Shown):
    """How the runner of a workflow job ended: known here within seconds, where GitHub misses it for ten minutes first."""

    status: str = Field(
        description="Of its job here: `succeeded` says nothing of the workflow job's conclusion."
    )
    reason: str | None
    message: str | None = Field(description="What happened, and what can be done.")
    at: Moment


class GitHubJobStory(GitHubJobAnswer):
    why: str = Field(description="Why it waits, or was refused, and what can be done.")
    deliveries: list[DeliveryAnswer] = Field(
        description="In the order in which they came; old ones are forgotten."
    )
    runner_end: RunnerEnd | None = Field(description="null while it lives, or has not been made.")
    timeline: Moments


class WhyAnswer(Shown):
    workflow_job_id: int
    state: State
    why: str


class InstallationAnswer(Shown):
    """The App, as it is installed for one account."""

    id: int
    account: str | None
    account_type: str | None
    repository_selection: str | None = Field(description="`all` or `selected`.")
    suspended_at: Moment | None
    deleted_at: Moment | None
    changed_at: Moment


class InstallationList(Shown):
    data: list[InstallationAnswer]


class LeftAnswer(Shown):
    """What GitHub still allows in this hour, as it told last."""

    limit: int
    remaining: int
    reset_at: Moment


class BudgetAnswer(Shown):
    """The calls as one installation, since this process of the service began."""

    installation_id: int
    calls: dict[str, int] = Field(
        description="By what they were for: `mint`, `truth`, `delete`, `sweep`. Those for tokens are the App's own."
    )
    runners: int = Field(description="How many were registered.")
    calls_per_job: float | None = Field(
        description="Calls for each runner that was registered; null before the first."
    )
    limited: int = Field(description="How often GitHub refused a call because of a rate limit.")
    waiting: int = Field(description="Calls that wait for their turn.")
    left: dict[str, LeftAnswer] = Field(
        description="By GitHub's names: `core`, `actions_runner_registration`. What it has not told of is left out."
    )


class BudgetList(Shown):
    data: list[BudgetAnswer]


class RunnerAnswer(Shown):
    """A runner that is being made, or is there."""

    name: str
    job_id: str
    status: str = Field(description="Of its job: `starting` or `running`.")
    profile: str | None
    repository: str = Field(
        description="Of the workflow job that it was made for; GitHub may give it another."
    )
    workflow_job_id: int
    serves: int | None = Field(description="The workflow job that GitHub gave it; null while it has none.")
    started_at: Moment | None


class RunnerList(Shown):
    data: list[RunnerAnswer]
