"""POST /v1/jobs and what is like it: what is asked."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    ValidationInfo,
    WithJsonSchema,
    create_model,
    field_validator,
)

from chaser.api.schemas.common import Moment, Shown
from chaser.api.schemas.jobs import JobAnswer
from chaser.jobs.job import RETRIABLE, Retry
from chaser.jobs.kinds.schema import QueueTime, Strict
from chaser.jobs.reason import Reason

MOST_JOBS = 1000
SHORTEST_LEASH_MS, LONGEST_LEASH_MS = 5_000, 86_400_000
DEFAULT_BACKOFF_MS, DEFAULT_MOST_BACKOFF_MS = 1_000, 60_000
_DAY_MS = 86_400_000
PRINTABLE = r"^[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?$"


def _is_retriable(reason: Reason) -> Reason:
    if reason not in RETRIABLE:
        raise ValueError(f"must be one of {', '.join(sorted(RETRIABLE))}")
    return reason


def _soon_enough(at: datetime, info: ValidationInfo[Mapping[str, object] | None]) -> datetime:
    latest = (info.context or {}).get("run_at")
    if isinstance(latest, datetime) and at > latest:
        raise ValueError("must lie within a year")
    return at


RetryReason = Annotated[
    Reason,
    AfterValidator(_is_retriable),
    WithJsonSchema({"type": "string", "enum": sorted(RETRIABLE)}),
]
Backoff = Annotated[int, Field(ge=0, le=_DAY_MS)]
Printable = Annotated[str, Field(pattern=PRINTABLE, max_length=255)]


class RetryRequest(Strict):
    """When a command that has begun may be run again. Without it, it never is."""

    on: Annotated[
        list[RetryReason], Field(min_length=1, max_length=10, description="The reasons that ask for it.")
    ]
    max: Annotated[int, Field(ge=1, le=20, description="How often, beyond the first run.")]
    backoff_ms: Backoff | None = Field(
        default=None,
        description=f"The longest pause before the first repetition, doubled for each; {DEFAULT_BACKOFF_MS} if not said.",
    )
    backoff_max_ms: Backoff | None = Field(
        default=None,
        description=f"The longest pause of all; {DEFAULT_MOST_BACKOFF_MS}, or backoff_ms if that is more, if not said.",
    )

    @field_validator("backoff_max_ms")
    @classmethod
    def _not_less(cls, most: int | None, info: ValidationInfo[object]) -> int | None:
        first: object = info.data.get("backoff_ms")
        if most is not None and isinstance(first, int) and most < first:
            raise ValueError("must not be less than backoff_ms")
        return most

    def retry(self) -> Retry:
        first = DEFAULT_BACKOFF_MS if self.backoff_ms is None else self.backoff_ms
        most = max(DEFAULT_MOST_BACKOFF_MS, first) if self.backoff_max_ms is None else self.backoff_max_ms
        return Retry(
            frozenset(self.on), self.max, timedelta(milliseconds=first), timedelta(milliseconds=most)
        )


class JobRequest(Strict):
    """A job of any kind. What `input` must be is the kind's to say: GET /v1/jobs/kinds."""

    kind: Annotated[str, Field(description="One of those that GET /v1/jobs/kinds lists.")]
    input: Any = Field(description="What the kind is to do.")
    run_at: Annotated[Moment, AfterValidator(_soon_enough)] | None = Field(
        default=None, description="When, within a year; at once if not said."
    )
    idempotency_key: Printable | None = Field(
        default=None, description="The same key with the same body finds the same job again."
    )
    priority: Annotated[int, Field(ge=-100, le=100)] | None = Field(
        default=None, description="Higher ones go first; 0 if not said."
    )
    max_attempts: Annotated[int, Field(ge=1, le=20)] | None = Field(
        default=None,
        description="How often it may be started where the infrastructure fails; 3 if not said. "
        "What `retry` grants comes on top.",
    )
    retry: RetryRequest | None = None
    concurrency_key: Printable | None = Field(
        default=None, description="Of the jobs with the same key one runs at a time, in their order."
    )
    queue_timeout_ms: QueueTime | None = Field(
        default=None,
        description="How long it may wait for its turn, from `run_at` on; as long as it takes, if not said.",
    )
    leash_ms: Annotated[int, Field(ge=SHORTEST_LEASH_MS, le=LONGEST_LEASH_MS)] | None = Field(
        default=None, description="It is cancelled when nobody has asked for it for so long."
    )


class BatchRequest(Strict):
    """Many jobs, of which all are accepted, or none."""

    jobs: Annotated[list[Any], Field(min_length=1, max_length=MOST_JOBS)]


class BatchEntry(JobAnswer):
    replayed: bool = Field(
        description="Whether its idempotency key was known: this is the job that was there."
    )


class BatchAnswer(Shown):
    data: list[BatchEntry] = Field(description="In the order in which they were asked for.")


class KindAnswer(Shown):
    kind: str
    description: str
    input_schema: dict[str, Any] = Field(description="JSON Schema 2020-12.")


class KindList(Shown):
    data: list[KindAnswer]


@cache
def request_for(kind: str, asked: type[BaseModel]) -> type[JobRequest]:
    """A job of that kind: the type that validates it, and that the OpenAPI document shows."""
    name = "".join(part.capitalize() for part in kind.replace(".", "_").split("_")) + "Job"
    fields: dict[str, Any] = {"kind": (Literal[kind], ...), "input": (asked, ...)}
    return create_model(name, __base__=JobRequest, __doc__=f"A job of the kind `{kind}`.", **fields)
