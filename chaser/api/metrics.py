"""/metrics: what the service counts of itself, for Prometheus."""

import asyncio
from collections.abc import Sequence

import structlog
from starlette.responses import Response

from chaser.api.call import Call
from chaser.api.context import Api, Looking
from chaser.api.exposition import MEDIA_TYPE, exposition
from chaser.api.health import answers
from chaser.errors import Unavailable
from chaser.measures import Measure, Sort

log = structlog.stdlib.get_logger()


async def show(call: Call) -> Response:
    """What a part that does not answer would tell is left out; `chaser_part_up` says which it is."""
    api = call.api
    looked = await asyncio.gather(_own(api), *(_look(source) for source in api.looking))
    counted = [source.measures() for source in api.counting]
    measures = [each for found in (*looked, *counted) for each in found]
    return Response(exposition(measures), headers={"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store"})


async def _own(api: Api) -> Sequence[Measure]:
    parts = await answers(api)
    return (
        Measure("chaser_info", "The version that runs.", Sort.GAUGE, {(("version", api.version),): 1}),
        Measure(
            "chaser_part_up",
            "Whether a part that the service needs answers; GET /readyz says what to check of one that does not.",
            Sort.GAUGE,
            {(("part", name),): float(check.ok) for name, check in parts.items()},
        ),
    )


async def _look(source: Looking) -> Sequence[Measure]:
    try:
        return await source.measures()
    except Unavailable as error:
        log.warning("A part of /metrics is left out.", action="metrics_short", error=error.message)
        return ()
