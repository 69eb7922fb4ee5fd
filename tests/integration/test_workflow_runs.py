"""What is read of a workflow run, from the simulated GitHub over real HTTP."""

from collections.abc import AsyncGenerator

import pytest

from chaser.errors import Refused
from chaser.github.workflow_runs import AppWorkflowRuns
from chaser.runners.registration import Owner
from chaser.runners.rules import Run
from chaser.simulator.origin import Origin
from chaser.simulator.workflows import Plan
from tests.simulated import PERSONAL, GitHubSide, simulated_github

NAME = "octocat/example"
OWNER = Owner(PERSONAL, NAME, None)
FORK = Origin(
    "pull_request", "stranger/example", actor="stranger", branch="patch-1", association="CONTRIBUTOR"
)


@pytest.fixture
async def side() -> AsyncGenerator[GitHubSide]:
    async with simulated_github() as side:
        yield side


async def read(
    side: GitHubSide, origin: Origin, *, association: bool = False, attempt: int = 1
) -> Run | None:
    (job,) = side.github.workflows.start(NAME, [Plan(("chaser",))], origin)
    async with side.client() as client:
        return await AppWorkflowRuns(client).get(OWNER, job.run_id, attempt, association=association)


async def test_a_run_is_read_with_one_call(side: GitHubSide) -> None:
    run = await read(side, Origin(triggering_actor="hubot"))

    assert run == Run("push", NAME, "octocat", "hubot", ".github/workflows/ci.yml", "main")
    assert len([call for call in side.world.calls if "access_tokens" not in call.line]) == 1


async def test_a_run_of_a_fork_says_so_also_when_the_fork_is_gone(side: GitHubSide) -> None:
    run = await read(side, FORK)
    assert run is not None
    assert run.head_repository == "stranger/example"
    gone = await read(side, Origin("pull_request", gone=True))
    assert gone is not None
    assert (gone.head_repository, gone.of_fork(NAME)) == (None, True)


async def test_the_author_is_asked_for_with_one_call_more(side: GitHubSide) -> None:
    side.world.public.add(NAME)
    run = await read(side, FORK, association=True)

    assert run is not None
    assert run.association == "CONTRIBUTOR"
    assert len([call for call in side.world.calls if "access_tokens" not in call.line]) == 2


@pytest.mark.parametrize("origin", [Origin(), Origin("pull_request", gone=True)])
async def test_who_has_no_pull_request_is_nobody(side: GitHubSide, origin: Origin) -> None:
    side.world.public.add(NAME)
    run = await read(side, origin, association=True)

    assert run is not None
    assert run.association == "NONE"


async def test_a_pull_request_of_another_does_not_speak_for_the_actor(side: GitHubSide) -> None:
    """Somebody who may push to a member's fork is no member."""
    side.world.public.add(NAME)
    await read(
        side, Origin("pull_request", "stranger/example", actor="member", branch="x", association="MEMBER")
    )
    run = await read(
        side, Origin("pull_request", "stranger/example", actor="stranger", branch="x"), association=True
    )

    assert run is not None
    assert run.association == "NONE"


async def test_a_run_that_github_does_not_show_is_none(side: GitHubSide) -> None:
    assert await read(side, FORK, attempt=2) is None


async def test_a_permission_that_is_missing_is_named(side: GitHubSide) -> None:
    """Pull requests of private repositories need one that the App has not."""
    with pytest.raises(Refused) as refused:
        await read(side, FORK, association=True)
    assert "permission" in refused.value.message.lower()
