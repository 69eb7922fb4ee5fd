"""The last hour's latencies, for `/metrics`."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from chaser.clock import Clock
from chaser.measures import Labels, Measure, Sort
from chaser.runners.latency import MOST, Ledger, Passages, Span, Spread, by_profile, ledger

PERIOD = timedelta(hours=1)


class LatencyMeasures:
    def __init__(self, passages: Passages, clock: Clock) -> None:
        self._passages = passages
        self._clock = clock

    async def measures(self) -> Sequence[Measure]:
        found = await self._passages.begun(self._clock.now() - PERIOD, None, MOST)
        ledgers = {None: ledger(found), **by_profile(found)}
        return (
            Measure(
                "chaser_github_latency_seconds",
                "How long a part of the way of workflow jobs took that began in the last hour, by profile (none: in all). "
                "docs/operating.md says whose part each is.",
                Sort.GAUGE,
                _latencies(ledgers),
            ),
            Measure(
                "chaser_github_jobs_begun",
                "Workflow jobs that began in the last hour on a runner of ours, by profile (none: in all).",
                Sort.GAUGE,
                {_of(profile): each.jobs for profile, each in ledgers.items()},
            ),
            Measure(
                "chaser_github_late",
                "Of them, those that GitHub told of 30 s or more after it had made them: look at https://www.githubstatus.com.",
                Sort.GAUGE,
                {_of(profile): each.late for profile, each in ledgers.items()},
            ),
        )


def _latencies(ledgers: Mapping[str | None, Ledger]) -> Mapping[Labels, float]:
    return {
        (("span", span.value), ("percentile", percentile), *_of(profile)): took.total_seconds()
        for profile, each in ledgers.items()
        for span in Span
        if (spread := each.spans.get(span)) is not None
        for percentile, took in _percentiles(spread)
    }


def _percentiles(spread: Spread) -> Sequence[tuple[str, timedelta]]:
    return (("50", spread.p50), ("95", spread.p95), ("99", spread.p99))


def _of(profile: str | None) -> Labels:
    return () if profile is None else (("profile", profile),)
