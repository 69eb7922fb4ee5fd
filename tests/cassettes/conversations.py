"""What the client and GitHub say to each other, as short stories: recorded by `record`, replayed by the contract suite."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from chaser.errors import Refused, Unavailable
from chaser.github.client import AppClient
from chaser.github.registrar import AppRegistrar
from chaser.runners.registration import Owner, Removal
from chaser.simulator.faults import Fault, secondary_limit
from chaser.simulator.world import World
from tests.simulated import ORGANIZATION, PERSONAL

USER = Owner(PERSONAL, "octocat/example", None)
ORG = Owner(ORGANIZATION, "octo-org/example", "octo-org")
NAME = "chaser-tape-1"


async def serve_one(client: AppClient, owner: Owner) -> object:
    """Mint, find, mint the same name again, remove, remove again, find."""
    registrar = AppRegistrar(client)
    first = await registrar.mint(owner, NAME, ["chaser"])
    found = await registrar.find(owner, first.name)
    second = await registrar.mint(owner, first.name, ["chaser"])
    removed = await registrar.remove(owner, second.runner_id)
    again = await registrar.remove(owner, second.runner_id)
    gone = await registrar.find(owner, first.name)
    same = found is not None and found.runner_id == first.runner_id != second.runner_id
    return same, found and (found.online, found.busy), removed, again, gone


async def mint_without_labels(client: AppClient, owner: Owner) -> object:
    return await _told(AppRegistrar(client).mint(owner, NAME, []))


async def mint_where_nothing_is_installed(client: AppClient, owner: Owner) -> object:
    nowhere = Owner(2_000_000_000, f"none-{owner.repository}", None)
    return await _told(AppRegistrar(client).mint(nowhere, NAME, ["chaser"]))


async def find(client: AppClient, owner: Owner) -> object:
    return await _told(AppRegistrar(client).find(owner, NAME))


async def remove_number_one(client: AppClient, owner: Owner) -> object:
    return await AppRegistrar(client).remove(owner, 1)


async def _told(work: Awaitable[object]) -> object:
    """A failure is an answer too."""
    try:
        return await work
    except (Refused, Unavailable) as error:
        return error


def busy(world: World) -> None:
    runner = world.register("repos/octocat/example", NAME, ("chaser",))
    assert runner is not None
    runner.busy = True


def suspended(world: World) -> None:
    world.installations[PERSONAL].suspended = True


def slowed_down(world: World) -> None:
    world.faults.append(secondary_limit("/runners", retry_after=60))


def broken(world: World) -> None:
    world.faults.append(Fault("/runners", 502, {"message": "Server Error"}))


@dataclass(frozen=True, slots=True)
class Conversation:
    """`before`: what must have happened to the simulated world; GitHub itself cannot be made to do it."""

    lead: Callable[[AppClient, Owner], Awaitable[object]]
    owner: Owner
    before: Callable[[World], None] | None = None


CONVERSATIONS = {
    "repository": Conversation(serve_one, USER),
    "organization": Conversation(serve_one, ORG),
    "no-labels": Conversation(mint_without_labels, USER),
    "not-installed": Conversation(mint_where_nothing_is_installed, USER),
    "busy": Conversation(remove_number_one, USER, busy),
    "suspended": Conversation(find, USER, suspended),
    "rate-limit": Conversation(find, USER, slowed_down),
    "outage": Conversation(find, USER, broken),
}

SERVED = (True, (False, False), Removal.REMOVED, Removal.ABSENT, None)
"""What `serve_one` comes to."""
