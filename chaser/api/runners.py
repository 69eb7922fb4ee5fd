"""/v1/runners: those that are being made, or are there."""

from collections.abc import Mapping

from starlette.responses import Response

from chaser.api.call import Call, shown
from chaser.api.schemas.github import RunnerAnswer, RunnerList
from chaser.ids import InstanceId, JobId
from chaser.jobs.job import Job, Status
from chaser.jobs.ports import JobFilter
from chaser.jobs.row import integer, text
from chaser.runners.decide import KIND
from chaser.runners.demand import State
from chaser.runners.ports import DemandFilter
from chaser.runners.registration import runner_name

MOST = 1000


async def index(call: Call) -> Response:
    serving = {
        demand.job_id: demand.id
        for demand in await call.api.github.demands.list(DemandFilter(State.RUNNING, limit=MOST))
        if demand.job_id is not None
    }
    living = [
        job
        for status in (Status.RUNNING, Status.STARTING)
        for job in await call.api.jobs.list(JobFilter(status=status, kind=KIND, limit=MOST))
    ]
    instance = call.api.github.instance
    return shown(RunnerList(data=[_runner(job, instance, serving) for job in living]))


def _runner(job: Job, instance: InstanceId, serving: Mapping[JobId, int]) -> RunnerAnswer:
    return RunnerAnswer(
        name=runner_name(instance, job.id, job.attempt),
        job_id=job.id,
        status=job.status.value,
        profile=job.profile,
        repository=text(job.input, "repository"),
        workflow_job_id=integer(job.input, "workflow_job_id"),
        serves=serving.get(job.id),
        started_at=job.started_at,
    )
