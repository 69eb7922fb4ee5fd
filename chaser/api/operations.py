"""Everything that the API serves, but for its own description: one entry an operation."""

from chaser.api import exec as run
from chaser.api import health, keys, metrics
from chaser.api.file_operations import ARTIFACTS, UPLOADS
from chaser.api.github_operations import GITHUB
from chaser.api.job_operations import JOBS
from chaser.api.operation import JSON, Answer, Header, Keyed, Operation, Public, answered
from chaser.api.schemas.exec import ExecAnswer
from chaser.api.schemas.health import LiveAnswer, ReadyAnswer
from chaser.api.schemas.jobs import JobAnswer
from chaser.api.schemas.keys import KeyAnswer, KeyPage, KeyQuery, KeyRequest, NewKeyAnswer
from chaser.api.sse import MEDIA_TYPE
from chaser.api.workspace_operations import FILES, SNAPSHOTS, WORKSPACES
from chaser.jobs.kinds.exec import ExecRequest
from chaser.keys import Scope

EXEC = Operation(
    method="POST",
    path="/v1/exec",
    name="exec",
    tag="exec",
    summary="Run one command in a sandbox, and get its result.",
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
        404: "`image_not_found`, `workspace_not_found`",
        409: "`idempotency_conflict`: the key is in use for another request",
        422: "`invalid_request`: every fault at once in `details.fields`; `not_supported`: not served by this version",
        429: "`rate_limited`, or `too_busy`: the queue is full",
        503: "`engine_unavailable`, `registry_unavailable`, `stopping`: try again later",
    },
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
    Operation(
        method="GET",
        path="/metrics",
        name="metrics",
        tag="health",
        summary="Read what the service counts of itself, as Prometheus reads it.",
        serve=Keyed(Scope.RUNNERS_READ, metrics.show),
        answers=(Answer(200, "Measures in Prometheus' text format.", {"text/plain": None}),),
    ),
)

OPERATIONS = (EXEC, *JOBS, *UPLOADS, *ARTIFACTS, *WORKSPACES, *FILES, *SNAPSHOTS, *GITHUB, *KEYS, *HEALTH)
