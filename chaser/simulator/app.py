"""The simulated GitHub as an application: `github(world)`.

Written against GitHub's REST documentation, apart from the fleet: it imports nothing of it.
"""

from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from chaser.simulator.answers import not_found
from chaser.simulator.app_api import AppApi
from chaser.simulator.control_api import ControlApi
from chaser.simulator.far_side import FarSide
from chaser.simulator.front import Front
from chaser.simulator.hook_api import HookApi
from chaser.simulator.installing import Installing
from chaser.simulator.jobs_api import JobsApi
from chaser.simulator.limits_api import LimitsApi
from chaser.simulator.manifest_api import ManifestApi
from chaser.simulator.pages_api import PagesApi
from chaser.simulator.post import Post
from chaser.simulator.repositories_api import RepositoriesApi
from chaser.simulator.runners_api import RunnersApi
from chaser.simulator.workflows import Workflows
from chaser.simulator.world import World


@dataclass(frozen=True, slots=True)
class GitHub:
    """All of it: what it knows, what it does by itself, and how it is called."""

    world: World
    post: Post
    workflows: Workflows
    installing: Installing
    app: ASGIApp


def assemble(world: World, far_side: str | None = None) -> GitHub:
    """`far_side` is this application's address as runners in sandboxes see it; none: they cannot reach it."""
    post = Post(world)
    workflows, installing = Workflows(world, post), Installing(world, post)
    routes = [
        *AppApi(world, installing).routes(),
        *HookApi(world, post).routes(),
        *RunnersApi(world, workflows, far_side).routes(),
        *JobsApi(world, workflows).routes(),
        *RepositoriesApi(world).routes(),
        *LimitsApi(world).routes(),
        *ManifestApi(world, installing).routes(),
        *FarSide(world, workflows).routes(),
        *ControlApi(world, post, workflows, installing).routes(),
        *PagesApi(world, workflows).routes(),
    ]
    app = Front(Starlette(routes=routes, exception_handlers={404: _unknown}), world)
    return GitHub(world, post, workflows, installing, app)


def github(world: World, far_side: str | None = None) -> ASGIApp:
    return assemble(world, far_side).app


async def _unknown(request: Request, error: Exception) -> Response:
    return not_found()
