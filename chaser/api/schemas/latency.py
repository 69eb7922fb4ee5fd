"""GET /v1/github/latency."""

from typing import Annotated

from pydantic import Field

from chaser.api.schemas.common import Moment, Query, Shown
from chaser.runners.latency import Span, Stage, Whose

_DAY_MS = 24 * 60 * 60 * 1000


class LatencyQuery(Query):
    period_ms: Annotated[
        int, Field(ge=60_000, le=30 * _DAY_MS, description="How far back; a day if not said.")
    ] = _DAY_MS
    profile: Annotated[str, Field(max_length=64, description="Of this profile alone.")] | None = None


class SpanAnswer(Shown):
    """How long one part of the way took. `p95_ms`: so long or shorter it took for 95 of 100 jobs."""

    span: Span
    begin: Stage = Field(description="As in the timeline of a workflow job.")
    end: Stage
    whose: Whose = Field(description="Who can make it shorter.")
    count: int = Field(description="Of how many jobs both ends are known.")
    p50_ms: int
    p95_ms: int
    p99_ms: int
    longest_ms: int


class LedgerAnswer(Shown):
    jobs: int
    late: int = Field(description="Of them, how many GitHub told of 30 s or more after it had made them.")
    spans: list[SpanAnswer] = Field(
        description="In the order of the way; one that is known of no job is left out."
    )


class ProfileLedgerAnswer(LedgerAnswer):
    profile: str


class LatencyAnswer(Shown):
    since: Moment
    until: Moment
    whole: LedgerAnswer
    profiles: list[ProfileLedgerAnswer]
