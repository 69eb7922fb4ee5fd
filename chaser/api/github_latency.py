"""/v1/github/latency: where the time goes between a push and a running job."""

from datetime import timedelta

from starlette.responses import Response

from chaser.api.body import read_query
from chaser.api.call import Call, shown
from chaser.api.schemas.latency import (
    LatencyAnswer,
    LatencyQuery,
    LedgerAnswer,
    ProfileLedgerAnswer,
    SpanAnswer,
)
from chaser.runners.latency import EXTENTS, MOST, Ledger, Span, Spread, by_profile, ledger

_MILLISECOND = timedelta(milliseconds=1)


async def show(call: Call) -> Response:
    query = read_query(call.request, LatencyQuery)
    until = call.api.clock.now()
    since = until - timedelta(milliseconds=query.period_ms)
    found = await call.api.github.passages.begun(since, query.profile, MOST)
    return shown(
        LatencyAnswer(
            since=since,
            until=until,
            whole=_ledger(ledger(found)),
            profiles=[
                ProfileLedgerAnswer(profile=profile, **dict(_ledger(each)))
                for profile, each in by_profile(found).items()
            ],
        )
    )


def _ledger(found: Ledger) -> LedgerAnswer:
    spans = [_span(span, found.spans[span]) for span in Span if span in found.spans]
    return LedgerAnswer(jobs=found.jobs, late=found.late, spans=spans)


def _span(span: Span, spread: Spread) -> SpanAnswer:
    extent = EXTENTS[span]
    return SpanAnswer(
        span=span,
        begin=extent.begin,
        end=extent.end,
        whose=extent.whose,
        count=spread.count,
        p50_ms=_ms(spread.p50),
        p95_ms=_ms(spread.p95),
        p99_ms=_ms(spread.p99),
        longest_ms=_ms(spread.longest),
    )


def _ms(took: timedelta) -> int:
    return round(took / _MILLISECOND)
