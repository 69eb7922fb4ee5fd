"""Where runners are registered, in which group, and as which installation."""

import json
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest
from githubkit_schemas.v2026_03_10 import models  # pyright: ignore[reportMissingTypeStubs] # typed, but unmarked

from chaser.clock import ManualClock
from chaser.errors import Refused, Unavailable
from chaser.github.registrar import AppRegistrar
from chaser.github.workflow_jobs import AppWorkflowJobs
from chaser.runners.policy import Level
from chaser.runners.registration import Owner, WorkflowJob
from tests.scripted_github import ScriptedGitHub, scripted_github, signed_by_the_app

ORG = Owner(1, "octo-org/example", "octo-org")
PUBLIC = Owner(1, "octo-org/example", "octo-org", Level.REPOSITORY)
ORG_RUNNERS = "/orgs/octo-org/actions/runners"
REPO_RUNNERS = "/repos/octo-org/example/actions/runners"
GROUPS = "GET /orgs/octo-org/actions/runner-groups"
BOTH = {"organization_self_hosted_runners": "write", "administration": "write"}


def runner(number: int, name: str) -> dict[str, object]:
    body: dict[str, object] = {
        "id": number,
        "name": name,
        "os": "unknown",
        "status": "offline",
        "busy": False,
        "labels": [],
    }
    models.Runner.model_validate(body)
    return body


def group(number: int, name: str, *, default: bool = False, visibility: str = "all") -> dict[str, object]:
    body: dict[str, object] = {
        "id": number,
        "name": name,
        "visibility": visibility,
        "default": default,
        "runners_url": "https://api.github.com/runners",
        "inherited": False,
        "allows_public_repositories": False,
    }
    models.RunnerGroupsOrg.model_validate(body)
    return body


def groups(*each: dict[str, object]) -> dict[str, object]:
    return {"total_count": len(each), "runner_groups": list(each)}


@pytest.fixture
async def github() -> AsyncGenerator[ScriptedGitHub]:
    async with scripted_github() as github:
        github.install(1, BOTH)
        minted = {"runner": runner(7, "chaser-a-1"), "encoded_jit_config": "blob"}
        for base in (ORG_RUNNERS, REPO_RUNNERS):
            github.tell(f"POST {base}/generate-jitconfig", minted, 201)
        yield github


def group_sent(github: ScriptedGitHub) -> object:
    (sent,) = [json.loads(call.body) for call in github.calls if call.line.endswith("/generate-jitconfig")]
    return sent["runner_group_id"]


async def mint(github: ScriptedGitHub, owner: Owner = ORG, runner_group: str | None = None) -> None:
    async with github.client() as client:
        await AppRegistrar(client, runner_group=runner_group).mint(owner, "chaser-a-1", ["chaser"])


async def test_the_organizations_default_group_is_found_by_what_it_is(github: ScriptedGitHub) -> None:
    github.tell(GROUPS, groups(group(1, "Old default"), group(5, "Anything", default=True)))
    await mint(github)
    assert group_sent(github) == 5


async def test_a_group_is_found_by_its_name(github: ScriptedGitHub) -> None:
    github.tell(GROUPS, groups(group(1, "Default", default=True), group(9, "Fleet")))
    await mint(github, runner_group="fleet")
    assert group_sent(github) == 9


@pytest.mark.parametrize("allowed", [True, False])
async def test_a_runner_says_whether_public_repositories_may_have_it(
    github: ScriptedGitHub, allowed: bool
) -> None:
    github.tell(GROUPS, groups({**group(5, "Default", default=True), "allows_public_repositories": allowed}))
    async with github.client() as client:
        minted = await AppRegistrar(client).mint(ORG, "chaser-a-1", ["chaser"])
        alone = await AppRegistrar(client).mint(PUBLIC, "chaser-a-2", ["chaser"])
    assert (minted.public, alone.public) == (allowed, False)


async def test_groups_are_looked_for_on_every_page(github: ScriptedGitHub) -> None:
    first = {"total_count": 2, "runner_groups": [group(1, "Default", default=True)]}
    github.tell(GROUPS, first)
    github.tell(GROUPS, {"total_count": 2, "runner_groups": [group(9, "Fleet")]})
    await mint(github, runner_group="Fleet")
    assert group_sent(github) == 9
    assert [call.query["page"] for call in github.calls if call.line == GROUPS] == ["1", "2"]


async def test_a_group_that_is_not_there_is_named_with_those_that_are(github: ScriptedGitHub) -> None:
    github.tell(GROUPS, groups(group(1, "Default", default=True)))
    with pytest.raises(Refused, match=r"no runner group 'Fleet'; it has: 'Default'.*github\.runner_group"):
        await mint(github, runner_group="Fleet")


async def test_where_github_shows_no_groups_the_first_one_is_taken(github: ScriptedGitHub) -> None:
    await mint(github)
    assert group_sent(github) == 1


async def test_a_group_that_does_not_let_the_repository_in_is_refused_before_a_runner_waits_in_it(
    github: ScriptedGitHub,
) -> None:
    github.tell(GROUPS, groups(group(5, "Default", default=True, visibility="selected")))
    others = {"total_count": 1, "repositories": [{"full_name": "octo-org/other"}]}
    github.tell("GET /orgs/octo-org/actions/runner-groups/5/repositories", others)
    with pytest.raises(Refused, match="'Default' of octo-org does not allow octo-org/example: add"):
        await mint(github)
    assert github.count(f"POST {ORG_RUNNERS}/generate-jitconfig") == 0


async def test_groups_are_asked_for_once_in_a_while_and_not_for_each_runner(github: ScriptedGitHub) -> None:
    clock = ManualClock()
    github.tell(GROUPS, groups(group(5, "Default", default=True, visibility="selected")))
    allowed = {"total_count": 1, "repositories": [{"full_name": "Octo-Org/Example"}]}
    path = "GET /orgs/octo-org/actions/runner-groups/5/repositories"
    github.tell(path, allowed)
    async with github.client(clock) as client:
        registrar = AppRegistrar(client)
        for _ in range(3):
            await registrar.mint(ORG, "chaser-a-1", ["chaser"])
        assert (github.count(GROUPS), github.count(path)) == (1, 1)
        clock.advance(timedelta(minutes=16))
        await registrar.mint(ORG, "chaser-a-1", ["chaser"])
        assert (github.count(GROUPS), github.count(path)) == (2, 2)


async def test_what_must_not_be_shared_is_registered_with_its_repository(github: ScriptedGitHub) -> None:
    await mint(github, PUBLIC)
    assert github.count(f"POST {REPO_RUNNERS}/generate-jitconfig") == 1
    assert group_sent(github) == 1
    assert github.count(GROUPS) == 0


async def test_it_is_never_shared_for_want_of_a_permission(github: ScriptedGitHub) -> None:
    github.install(2, {"organization_self_hosted_runners": "write"})
    owner = Owner(2, PUBLIC.repository, PUBLIC.organization, Level.REPOSITORY)
    with pytest.raises(Refused, match=r'must not be shared.*grant it "Administration'):
        await mint(github, owner)
    assert not [call for call in github.calls if call.line.endswith("/generate-jitconfig")]


async def test_a_repository_that_may_not_use_actions_is_told_so(github: ScriptedGitHub) -> None:
    line = f"POST {REPO_RUNNERS}/generate-jitconfig"
    github.answers[line] = []
    github.tell(line, {"message": "Forbidden"}, 403, x_accepted_github_permissions="administration=write")
    github.tell("GET /repos/octo-org/example/actions/permissions", {"enabled": False})
    with pytest.raises(Refused, match="Actions is switched off for octo-org/example"):
        await mint(github, PUBLIC)


async def test_a_repository_that_may_use_actions_is_told_what_github_said(github: ScriptedGitHub) -> None:
    line = f"POST {REPO_RUNNERS}/generate-jitconfig"
    github.answers[line] = []
    github.tell(line, {"message": "Forbidden"}, 403, x_accepted_github_permissions="administration=write")
    github.tell("GET /repos/octo-org/example/actions/permissions", {"enabled": True})
    with pytest.raises(Refused, match=r'403.*"Forbidden".*has the permission.*policy'):
        await mint(github, PUBLIC)


async def test_an_app_that_was_installed_anew_is_found(github: ScriptedGitHub) -> None:
    gone = Owner(99, ORG.repository, ORG.organization)
    looked = "GET /repos/octo-org/example/installation"
    github.tell(looked, {"id": 1, "account": {"login": "octo-org"}, "suspended_at": None})
    async with github.client() as client:
        registrar = AppRegistrar(client)
        for _ in range(2):
            await registrar.mint(gone, "chaser-a-1", ["chaser"])
    assert github.count(looked) == 1
    assert github.count("POST /app/installations/99/access_tokens") == 1
    assert signed_by_the_app(next(call.authorization for call in github.calls if call.line == looked))


async def test_an_app_that_was_removed_is_to_be_installed(github: ScriptedGitHub) -> None:
    gone = Owner(99, ORG.repository, ORG.organization)
    with pytest.raises(Refused, match="not installed for octo-org/example: install it"):
        await mint(github, gone)


async def test_a_suspended_installation_is_asked_again_and_seldom(github: ScriptedGitHub) -> None:
    github.tell("POST /app/installations/3/access_tokens", {"message": "No."}, 403)
    account = {"login": "octo-org", "type": "Organization"}
    found = {"id": 3, "account": account, "suspended_at": "2026-01-01T00:00:00Z"}
    github.tell("GET /app/installations/3", found)
    with pytest.raises(Unavailable, match=r"octo-org is suspended.*/settings/installations/3") as caught:
        await mint(github, Owner(3, ORG.repository, ORG.organization))
    assert caught.value.retry_after == 300


async def test_another_refusal_of_a_token_is_not_called_a_suspension(github: ScriptedGitHub) -> None:
    github.tell("POST /app/installations/3/access_tokens", {"message": "No."}, 403)
    github.tell("GET /app/installations/3", {"id": 3, "account": None, "suspended_at": None})
    with pytest.raises(Refused, match=r'403.*"No"'):
        await mint(github, Owner(3, ORG.repository, ORG.organization))


async def test_runners_are_listed_to_the_last_page(github: ScriptedGitHub) -> None:
    ours, others = [runner(n, f"chaser-a-{n}") for n in range(3)], [runner(9, "somebody-else")]
    github.tell(f"GET {ORG_RUNNERS}", {"total_count": 4, "runners": ours[:2]})
    github.tell(f"GET {ORG_RUNNERS}", {"total_count": 4, "runners": [*others, *ours[2:]]})
    async with github.client() as client:
        found = await AppRegistrar(client).list(ORG, "chaser-a-")
    assert [each.runner_id for each in found] == [0, 1, 2]
    assert github.count(f"GET {ORG_RUNNERS}") == 2


@pytest.mark.parametrize(("number", "name"), [(None, None), (0, ""), (7, "chaser-a-1")])
async def test_a_workflow_job_is_told_as_github_has_it(
    github: ScriptedGitHub, number: int | None, name: str | None
) -> None:
    body = {
        "id": 44,
        "status": "completed",
        "conclusion": "success",
        "runner_id": number,
        "runner_name": name,
    }
    github.tell("GET /repos/octo-org/example/actions/jobs/44", body)
    async with github.client() as client:
        jobs = AppWorkflowJobs(client)
        assert await jobs.get(ORG, 44) == WorkflowJob("completed", "success", number or None, name or None)
        assert await jobs.get(ORG, 45) is None
