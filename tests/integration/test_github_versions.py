"""Asking GitHub until when it serves a runner, over HTTP. The answers are as GitHub gave them in September 2026."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chaser.clock import SystemClock
from chaser.errors import Refused, Unavailable
from chaser.github.client import AppClient
from chaser.github.versions import AppSchedules
from chaser.jobs.reason import Reason
from chaser.runners.app import Credentials
from chaser.runners.registration import Owner
from chaser.runners.versions import Schedule, Schedules
from chaser.secret import Secret
from chaser.simulator.serving import serving
from tests.simulated import app_keys

USER = Owner(1, "octocat/example", None)
ORG = Owner(1, "octo-org/example", "octo-org")
OF_USER = "/repos/octocat/example/actions/runners/deprecations/2.335.1"
OF_ORG = "/orgs/octo-org/actions/runners/deprecations/2.335.1"
OF_ORGS_REPOSITORY = "/repos/octo-org/example/actions/runners/deprecations/2.335.1"
NOT_FOUND = {"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"}


@dataclass
class GitHub:
    """Two routes of GitHub: the App's token, and whatever else is asked for."""

    permissions: Mapping[str, str]
    answers: dict[str, tuple[int, object]] = field(default_factory=dict[str, tuple[int, object]])
    asked: list[str] = field(default_factory=list[str])

    async def token(self, request: Request) -> Response:
        document = {
            "token": "ghs_x",
            "expires_at": "2030-01-01T00:00:00Z",
            "permissions": dict(self.permissions),
        }
        return JSONResponse(document, 201)

    async def other(self, request: Request) -> Response:
        self.asked.append(request.scope["raw_path"].decode())
        status, document = self.answers.get(request.url.path, (404, NOT_FOUND))
        return JSONResponse(document, status)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/app/installations/1/access_tokens", self.token, methods=["POST"]),
                Route("/{path:path}", self.other),
            ]
        )


@pytest.fixture
def github() -> GitHub:
    return GitHub({"administration": "write"})


@pytest.fixture
async def schedules(github: GitHub) -> AsyncGenerator[Schedules]:
    credentials = Credentials("1", Secret(app_keys().private))
    async with serving(github.app()) as url, AppClient(credentials, SystemClock(), api_url=url) as client:
        yield AppSchedules(client)


async def test_github_says_when_an_older_version_ends(github: GitHub, schedules: Schedules) -> None:
    """Without `registration_deprecates_at`, which is documented, and which it leaves out."""
    github.answers[OF_USER] = (
        200,
        {
            "runner_version": "2.335.1",
            "runtime_deprecates_at": "2026-09-24T15:30:55Z",
        },
    )
    assert await schedules.find(USER, "2.335.1") == Schedule(
        datetime(2026, 9, 24, 15, 30, 55, tzinfo=UTC), None
    )


async def test_github_sets_no_end_for_the_newest(github: GitHub, schedules: Schedules) -> None:
    github.answers[OF_USER] = (
        200,
        {
            "runner_version": "2.335.1",
            "runtime_deprecates_at": None,
            "registration_deprecates_at": None,
        },
    )
    assert await schedules.find(USER, "2.335.1") == Schedule(None, None)


async def test_a_version_that_github_does_not_know_has_no_schedule(
    github: GitHub, schedules: Schedules
) -> None:
    assert await schedules.find(USER, "9.9.9") is None
    assert len(github.asked) == 1


@pytest.mark.parametrize(
    ("permissions", "path"),
    [
        ({"organization_self_hosted_runners": "write", "administration": "write"}, OF_ORG),
        ({"organization_self_hosted_runners": "read"}, OF_ORG),
        ({"administration": "read"}, OF_ORGS_REPOSITORY),
    ],
)
async def test_it_asks_where_the_app_may(
    github: GitHub, schedules: Schedules, permissions: Mapping[str, str], path: str
) -> None:
    github.permissions = permissions
    await schedules.find(ORG, "2.335.1")
    assert github.asked == [path]


async def test_an_app_without_either_permission_is_told_which_to_grant(
    github: GitHub, schedules: Schedules
) -> None:
    github.permissions = {"actions": "read"}
    with pytest.raises(Refused, match=r"Self-hosted runners.*Administration") as caught:
        await schedules.find(ORG, "2.335.1")
    assert caught.value.reason is Reason.GITHUB_REFUSED
    assert github.asked == []


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        {"runner_version": "2.335.1", "runtime_deprecates_at": "soon"},
        {"runner_version": "2.335.1", "runtime_deprecates_at": "2026-09-24T15:30:55"},
        {"runner_version": None},
    ],
)
async def test_an_answer_that_is_not_what_github_documents_is_none(
    github: GitHub, schedules: Schedules, document: object
) -> None:
    """A moment without its zone could be hours off."""
    github.answers[OF_USER] = 200, document
    with pytest.raises(Unavailable, match="not what GitHub documents"):
        await schedules.find(USER, "2.335.1")


async def test_an_answer_for_another_version_is_none(github: GitHub, schedules: Schedules) -> None:
    github.answers[OF_USER] = 200, {"runner_version": "2.335.0", "runtime_deprecates_at": None}
    with pytest.raises(Unavailable, match="another version"):
        await schedules.find(USER, "2.335.1")


@pytest.mark.parametrize(("status", "error"), [(403, Refused), (503, Unavailable)])
async def test_a_refusal_and_an_outage_are_told_apart(
    github: GitHub, schedules: Schedules, status: int, error: type[Exception]
) -> None:
    github.answers[OF_USER] = status, {"message": "Told to."}
    with pytest.raises(
        error, match=rf"GitHub answered {status} while asking until when it serves runner 2.335.1"
    ):
        await schedules.find(USER, "2.335.1")


async def test_an_odd_version_stays_one_part_of_the_path(github: GitHub, schedules: Schedules) -> None:
    assert await schedules.find(USER, "../../2?x=1") is None
    assert github.asked == ["/repos/octocat/example/actions/runners/deprecations/..%2F..%2F2%3Fx%3D1"]
