"""Everything that the API serves, but for its own description: one entry an operation."""

from chaser.api import exec as run
from chaser.api import health, jobs, keys, logs
from chaser.api.event_stream import MEDIA_TYPE
from chaser.api.operation import JSON, Answer, Header, Keyed, Operation, Public, answered
from chaser.api.schemas.exec import ExecAnswer, ExecRequest
from chaser.api.schemas.health import LiveAnswer, ReadyAnswer
from chaser.api.schemas.jobs import EventList, FrameLine, JobAnswer, JobPage, JobQuery, ListQuery, LogQuery
from chaser.api.schemas.keys import KeyAnswer, KeyPage, KeyQuery, KeyRequest, NewKeyAnswer
from chaser.keys import Scope

_NO_JOB = {404: "`job_not_found`"}

EXEC = Operation(
    method="POST",
    path="/v1/exec",
    name="exec",
    tag="exec",
    summary="Run one command in a fresh sandbox, and get its result.",
    description=(
        "Answers when the run has ended, with 200 whatever the command did. What is known soon has a status of its "
        "own; a run that takes longer begins its answer with 200 and a space now and then, followed by the JSON "
        "document. A client that closes the connection cancels the run. With `Accept: text/event-stream` the answer "
        "is a stream of the events `started`, `output` and `result`."
    ),
    serve=Keyed(Scope.EXEC_WRITE, run.run),
    body=ExecRequest,
    headers=(
        Header("Idempotency-Key", "The same key with the same body finds the same run again."),
        Header(
            "Prefer",
            "`respond-async`: answer 202 with the job at once; the run outlives the connection.",
            "respond-async",
        ),
        Header("Last-Event-ID", "With an Idempotency-Key and an event stream: go on after this `seq`."),
    ),
    answers=(
        Answer(
            200,
            "How the run ended.",
            {JSON: ExecAnswer, MEDIA_TYPE: None},
            {
                "X-Chaser-Job": "The job's id.",
                "Idempotent-Replayed": "`true` where the run was known already.",
            },
        ),
        answered(JobAnswer, 202, "Accepted; the run goes on as a job.", Location="The job's path."),
    ),
    refusals={
        403: "`forbidden`; `image_forbidden`, `registry_unauthorized`",
        404: "`image_not_found`",
        409: "`idempotency_conflict`: the key is in use for another request",
        422: "`invalid_request`: every fault at once in `details.fields`; `not_supported`: not served by this version",
        429: "`rate_limited`, or `too_busy`: the queue is full",
        503: "`engine_unavailable`, `registry_unavailable`, `stopping`: try again later",
    },
)

JOBS = (
    Operation(
        method="GET",
        path="/v1/jobs",
        name="listJobs",
        tag="jobs",
        summary="List jobs, newest first.",
        serve=Keyed(Scope.JOBS_READ, jobs.index),
        query=ListQuery,
        answers=(answered(JobPage),),
    ),
    Operation(
        method="GET",
        path="/v1/jobs/{id}",
        name="getJob",
        tag="jobs",
        summary="Read a job; with wait_ms, as soon as it has ended.",
        serve=Keyed(Scope.JOBS_READ, jobs.read),
        query=JobQuery,
        answers=(answered(JobAnswer),),
        refusals=_NO_JOB,
    ),
    Operation(
        method="POST",
        path="/v1/jobs/{id}/cancel",
        name="cancelJob",
        tag="jobs",
        summary="Ask for a job's end.",
        description="A queued job ends at once; of a running one nothing is left soon after.",
        serve=Keyed(Scope.JOBS_WRITE, jobs.cancel),
        answers=(answered(JobAnswer, 202),),
        refusals={**_NO_JOB, 409: "`job_finished`: it has ended already"},
    ),
    Operation(
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
    ),
    Operation(
        method="GET",
        path="/v1/jobs/{id}/events",
        name="listEvents",
        tag="jobs",
        summary="The job's history: each change of its state.",
        serve=Keyed(Scope.JOBS_READ, jobs.events),
        answers=(answered(EventList),),
        refusals=_NO_JOB,
    ),
)

KEYS = (
    Operation(
        method="GET",
        path="/v1/keys",
        name="listKeys",
        tag="keys",
        summary="List API keys, newest first.",
        serve=Keyed(Scope.KEYS_READ, keys.index),
        query=KeyQuery,
        answers=(answered(KeyPage),),
    ),
    Operation(
        method="POST",
        path="/v1/keys",
        name="createKey",
        tag="keys",
        summary="Make an API key that may do no more than yours.",
        serve=Keyed(Scope.KEYS_WRITE, keys.create),
        body=KeyRequest,
        answers=(answered(NewKeyAnswer, 201, "The key, shown this once."),),
    ),
    Operation(
        method="DELETE",
        path="/v1/keys/{id}",
        name="revokeKey",
        tag="keys",
        summary="Revoke an API key, from now on.",
        serve=Keyed(Scope.KEYS_WRITE, keys.revoke),
        answers=(answered(KeyAnswer),),
        refusals={404: "`key_not_found`"},
    ),
)

HEALTH = (
    Operation(
        method="GET",
        path="/livez",
        name="live",
        tag="health",
        summary="Whether the process answers.",
        serve=Public(health.live),
        answers=(answered(LiveAnswer),),
    ),
    Operation(
        method="GET",
        path="/readyz",
        name="ready",
        tag="health",
        summary="Whether everything that the service needs answers.",
        serve=Public(health.ready),
        answers=(answered(ReadyAnswer),),
        refusals={503: "`not_ready`: `details.checks` says which part is ill, and what to check"},
    ),
)

OPERATIONS = (EXEC, *JOBS, *KEYS, *HEALTH)
