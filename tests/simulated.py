"""A simulated GitHub on a port of this machine, for tests."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache

from chaser.clock import Clock, SystemClock
from chaser.github.client import AppClient, AppCredentials
from chaser.secret import Secret
from chaser.simulator.app import github
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


@dataclass(frozen=True, slots=True)
class GitHubSide:
    world: World
    url: str

    def client(self, *, clock: Clock | None = None, timeout: float = 10, app_id: int = APP_ID) -> AppClient:
        credentials = AppCredentials(str(app_id), Secret(app_keys().private))
        return AppClient(credentials, clock or SystemClock(), api_url=self.url, timeout=timeout)


def new_world() -> World:
    world = World(APP_ID, app_keys().public)
    world.install(Installation(PERSONAL, "octocat"))
    organization = {"actions": "read", "metadata": "read", "organization_self_hosted_runners": "write"}
    world.install(Installation(ORGANIZATION, "octo-org", organization))
    return world


@asynccontextmanager
async def simulated_github(port: int = 0) -> AsyncGenerator[GitHubSide]:
    world = new_world()
    async with serving(github(world), port=port) as url:
        yield GitHubSide(world, url)
