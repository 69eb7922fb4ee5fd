"""The operations under /v1/jobs, and the events of all jobs."""

from chaser.api import events, feed, jobs, logs, new_jobs
from chaser.api.operation import JSON, Answer, Header, Keyed, Operation, answered
from chaser.api.schemas.job_request import BatchAnswer, BatchRequest, JobRequest, KindList
from chaser.api.schemas.jobs import EventList, FrameLine, JobAnswer, JobPage, JobQuery, ListQuery, LogQuery
from chaser.api.sse import MEDIA_TYPE
from chaser.keys import Scope

_NO_JOB = {404: "`job_not_found`"}
_REFUSALS = {
    403: "`forbidden`: the key may not do this; `kind_not_allowed`: the service makes such jobs itself",
    404: "`workspace_not_found`: there is no workspace of that id",
    409: "`idempotency_conflict`: the key is in use for another request",
    422: "`invalid_request`: every fault at once in `details.fields`; `not_supported`: not served by this version",
    429: "`rate_limited`, or `too_busy`: the queue is full",
}
_IDEMPOTENCY = Header("Idempotency-Key", "The same key with the same body finds the same job again.")
_LAST_EVENT = Header("Last-Event-ID", "Go on after this event.")
_REPLAYED = Answer(
    200,
    "The job that the same call made before.",
    {JSON: JobAnswer},
    {"Idempotent-Replayed": "`true`", "Location": "The job's path."},
)

CREATE = Operation(
    method="POST",
    path="/v1/jobs",
    name="createJob",
    tag="jobs",
    summary="Queue a job of any kind.",
    description="Accepted means committed to disk. What `input` must be depends on `kind`: see GET /v1/jobs/kinds.",
    serve=Keyed(Scope.JOBS_WRITE, new_jobs.create),
    body=JobRequest,
    headers=(_IDEMPOTENCY,),
    answers=(answered(JobAnswer, 201, "Accepted.", Location="The job's path."), _REPLAYED),
    refusals=_REFUSALS,
)

CREATE_ALL = Operation(
    method="POST",
    path="/v1/jobs/batch",
    name="createJobs",
    tag="jobs",
    summary="Queue up to 1,000 jobs: all of them, or none.",
    description="Each may have an idempotency_key of its own. The body may be larger than others.",
    serve=Keyed(Scope.JOBS_WRITE, new_jobs.create_all),
    body=BatchRequest,
    answers=(answered(BatchAnswer, 201, "Accepted, in the order of the request."),),
    refusals=_REFUSALS,
)

RETRY = Operation(
    method="POST",
    path="/v1/jobs/{id}/retry",
    name="retryJob",
    tag="jobs",
    summary="Queue an ended job once more: a new job with the same input.",
    serve=Keyed(Scope.JOBS_WRITE, new_jobs.retry),
    headers=(_IDEMPOTENCY,),
    answers=(answered(JobAnswer, 201, "Accepted.", Location="The job's path."), _REPLAYED),
    refusals={
        403: _REFUSALS[403],
        404: "`job_not_found`; `workspace_not_found`: its workspace is gone",
        409: "`job_not_finished`: it has not ended yet; `idempotency_conflict`",
        422: "`invalid_request`: the header Idempotency-Key cannot be one",
        429: _REFUSALS[429],
    },
)

KINDS = Operation(
    method="GET",
    path="/v1/jobs/kinds",
    name="listKinds",
    tag="jobs",
    summary="The kinds of job that may be queued, each with the JSON Schema of its input.",
    serve=Keyed(Scope.JOBS_READ, jobs.kinds),
    answers=(answered(KindList),),
)

LIST = Operation(
    method="GET",
    path="/v1/jobs",
    name="listJobs",
    tag="jobs",
    summary="List jobs, newest first.",
    serve=Keyed(Scope.JOBS_READ, jobs.index),
    query=ListQuery,
    answers=(answered(JobPage),),
    refusals={404: "`workspace_not_found`: there is no workspace of that name"},
)

READ = Operation(
    method="GET",
    path="/v1/jobs/{id}",
    name="getJob",
    tag="jobs",
    summary="Read a job; with wait_ms, as soon as it has ended.",
    serve=Keyed(Scope.JOBS_READ, jobs.read),
    query=JobQuery,
    answers=(answered(JobAnswer),),
    refusals=_NO_JOB,
)

CANCEL = Operation(
    method="POST",
    path="/v1/jobs/{id}/cancel",
    name="cancelJob",
    tag="jobs",
    summary="Ask for a job's end.",
    description="A queued job ends at once; of a running one nothing is left soon after.",
    serve=Keyed(Scope.JOBS_WRITE, jobs.cancel),
    answers=(answered(JobAnswer, 202),),
    refusals={**_NO_JOB, 409: "`job_finished`: it has ended already"},
)

LOGS = Operation(
    method="GET",
    path="/v1/jobs/{id}/logs",
    name="getLogs",
    tag="jobs",
    summary="What the job has printed.",
    description="`after` goes on from a frame's `seq`, without loss or repeat; `follow` stays until the end.",
    serve=Keyed(Scope.JOBS_READ, logs.read),
    query=LogQuery,
    answers=(Answer(200, "The log.", {"text/plain": None, logs.NDJSON: FrameLine}),),
    refusals=_NO_JOB,
)

EVENTS = Operation(
    method="GET",
    path="/v1/jobs/{id}/events",
    name="listEvents",
    tag="jobs",
    summary="The job's history: each change of its state.",
    description=(
        "With `Accept: text/event-stream` it is a stream of events named `change` that goes on until the job's end; "
        "their ids are `seq`."
    ),
    serve=Keyed(Scope.JOBS_READ, events.of_job),
    headers=(_LAST_EVENT,),
    answers=(Answer(200, "The history.", {JSON: EventList, MEDIA_TYPE: None}),),
    refusals=_NO_JOB,
)

FEED = Operation(
    method="GET",
    path="/v1/events",
    name="followEvents",
    tag="jobs",
    summary="Every change of any job's state that the key may see, as it happens.",
    description=(
        "Server-sent events named `change`, from now on or after `Last-Event-ID`, whose last seconds are then told "
        "again: `job_id` and `seq` name a change. The stream ends after an hour; come again with the last id."
    ),
    serve=Keyed(Scope.JOBS_READ, feed.of_all),
    headers=(_LAST_EVENT,),
    answers=(Answer(200, "The changes.", {MEDIA_TYPE: None}),),
)

JOBS = (CREATE, CREATE_ALL, KINDS, LIST, READ, CANCEL, RETRY, LOGS, EVENTS, FEED)
