"""/livez: the process answers. /readyz: so does everything that it needs."""

import asyncio

from starlette.responses import Response

from chaser.api.call import shown
from chaser.api.context import Api, Ping
from chaser.api.problems import problem
from chaser.api.schemas.health import CheckAnswer, LiveAnswer, ReadyAnswer
from chaser.errors import Unavailable


async def live(api: Api) -> Response:
    return shown(LiveAnswer(version=api.version))


async def ready(api: Api) -> Response:
    """200 if every part answers; else 503, with what to check of each that does not."""
    checks = await answers(api)
    checks["service"] = CheckAnswer(
        ok=not api.stopping.is_set(), message="It is stopping." if api.stopping.is_set() else None
    )
    ill = {name: check for name, check in checks.items() if not check.ok}
    if not ill:
        return shown(ReadyAnswer(checks=checks))
    message = " ".join(f"{name}: {check.message}" for name, check in ill.items())
    details = {"checks": {name: check.model_dump() for name, check in checks.items()}}
    return problem(503, "not_ready", message, details=details, headers={"Retry-After": "5"})


async def answers(api: Api) -> dict[str, CheckAnswer]:
    """How each part answers now, by name."""
    names = list(api.pings)
    within = api.rules.ping_deadline.total_seconds()
    checks = await asyncio.gather(*(_check(api.pings[name], within) for name in names))
    return dict(zip(names, checks, strict=True))


async def _check(ping: Ping, within: float) -> CheckAnswer:
    try:
        async with asyncio.timeout(within):
            await ping()
    except Unavailable as error:
        return CheckAnswer(ok=False, message=error.message)
    except TimeoutError:
        return CheckAnswer(ok=False, message=f"It did not answer within {within:g} s.")
    return CheckAnswer(ok=True)
