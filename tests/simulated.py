"""A simulated GitHub on a port of this machine, for tests."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache

from chaser.clock import Clock, SystemClock
from chaser.github.budget import Pace
from chaser.github.client import AppClient
from chaser.runners.app import Credentials
from chaser.secret import Secret
from chaser.simulator.app import GitHub, assemble
from chaser.simulator.credentials import KeyPair, new_key_pair
from chaser.simulator.serving import serving
from chaser.simulator.world import Installation, World

APP_ID = 1234
PERSONAL, ORGANIZATION = 1, 2
"""The installations: of the account `octocat`, and of the organization `octo-org`."""


@cache
def app_keys() -> KeyPair:
    return new_key_pair()


@cache
def other_keys() -> KeyPair:
    return new_key_pair()


def app_client(
    url: str,
    key: Secret | None = None,
    *,
    app_id: int | str = APP_ID,
    clock: Clock | None = None,
    timeout: float = 10,
    pace: Pace = Pace(),  # noqa: B008 # a value
) -> AppClient:
    """A client of the simulated App, or of the one whose key this is."""
    credentials = Credentials(str(app_id), key or Secret(app_keys().private))
    return AppClient(credentials, clock or SystemClock(), api_url=url, timeout=timeout, pace=pace)


@dataclass(frozen=True, slots=True)
class GitHubSide:
    github: GitHub
    url: str

    @property
    def world(self) -> World:
        return self.github.world

    def client(
        self,
        *,
        clock: Clock | None = None,
        timeout: float = 10,
        app_id: int = APP_ID,
        pace: Pace = Pace(),  # noqa: B008 # a value
    ) -> AppClient:
        return app_client(self.url, app_id=app_id, clock=clock, timeout=timeout, pace=pace)


def new_world() -> World:
    world = World(APP_ID, app_keys().public)
    world.install(Installation(PERSONAL, "octocat"))
    organization = {"actions": "read", "metadata": "read", "organization_self_hosted_runners": "write"}
    world.install(Installation(ORGANIZATION, "octo-org", organization))
    return world


@asynccontextmanager
async def simulated_github(port: int = 0) -> AsyncGenerator[GitHubSide]:
    made = assemble(new_world())
    async with serving(made.app, port=port, ending=made.workflows.close) as url:
        yield GitHubSide(made, url)


async def until(true: Callable[[], bool]) -> None:
    """Wait for something that nobody tells of."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - nothing rings when it comes true
            await asyncio.sleep(0.005)
