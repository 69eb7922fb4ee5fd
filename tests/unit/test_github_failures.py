"""GitHub's refusals in our words."""

from datetime import timedelta

import httpx
import pytest
from githubkit.exception import (
    GitHubException,
    PrimaryRateLimitExceeded,
    RequestError,
    RequestFailed,
    RequestTimeout,
    SecondaryRateLimitExceeded,
)
from githubkit.response import Response

from chaser.errors import Refused, Unavailable
from chaser.github.failures import failure
from chaser.github.pages import app_page, installation_page, new_app_page, web_url
from chaser.github.permissions import Permission, missing, titled
from chaser.jobs.reason import Reason

REQUEST = httpx.Request("POST", "https://api.github.com/x")
DOING = "registering a runner"


def answer(
    status: int, message: str = "No", docs: str = "https://docs.github.com/rest", **headers: str
) -> "Response[object]":
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"message": message, "documentation_url": docs, "status": str(status)}
    return Response(httpx.Response(status, json=body, headers=named, request=REQUEST), object)


def refused(error: GitHubException, granted: dict[str, str] | None = None) -> str:
    found = failure(error, DOING, granted)
    assert isinstance(found, Refused)
    assert found.reason is Reason.GITHUB_REFUSED
    return found.message


def unavailable(error: GitHubException | ValueError) -> Unavailable:
    found = failure(error, DOING)
    assert isinstance(found, Unavailable)
    assert found.reason is Reason.GITHUB_UNAVAILABLE
    return found


def test_a_missing_permission_is_named_as_the_settings_call_it() -> None:
    error = RequestFailed(answer(403, x_accepted_github_permissions="administration=write"))
    message = refused(error, {"administration": "read"})
    assert '"Administration (repository): read and write"' in message
    assert "Permissions & events" in message
    assert 'registering a runner: "No"' in message


def test_an_ip_allow_list_is_told_by_the_page_that_github_points_to() -> None:
    docs = (
        "https://docs.github.com/organizations/keeping-your-organization-secure/"
        "managing-allowed-ip-addresses-for-your-organization"
    )
    error = RequestFailed(answer(403, docs=docs, x_accepted_github_permissions="administration=write"))
    assert "IP allow list" in refused(error, {})


def test_a_refusal_with_the_permission_points_to_policies() -> None:
    error = RequestFailed(answer(403, x_accepted_github_permissions="administration=write"))
    assert "policy" in refused(error, {"administration": "write"})


def test_where_github_names_no_permission_all_are_pointed_to() -> None:
    assert "app.yml" in refused(RequestFailed(answer(403)), {})
    error = RequestFailed(answer(403, x_accepted_github_permissions="administration=write"))
    assert "app.yml" in refused(error)


@pytest.mark.parametrize("text", ["suspended", "IP allow list enabled", "rate limit exceeded"])
def test_what_github_writes_decides_nothing(text: str) -> None:
    plain, wordy = (RequestFailed(answer(404, message=message)) for message in ("No", text))
    assert refused(wordy).replace(text, "No") == refused(plain)


@pytest.mark.parametrize("kind", [PrimaryRateLimitExceeded, SecondaryRateLimitExceeded])
def test_a_rate_limit_says_which_and_how_long(
    kind: type[PrimaryRateLimitExceeded | SecondaryRateLimitExceeded],
) -> None:
    told = answer(403, x_ratelimit_limit="5000", x_ratelimit_resource="core")
    found = unavailable(kind(told, timedelta(seconds=61)))
    assert found.retry_after == 61
    assert "(5000 an hour for core)" in found.message
    assert "61 s" in found.message


def test_a_reset_that_has_passed_is_no_wait() -> None:
    assert unavailable(PrimaryRateLimitExceeded(answer(429), timedelta(seconds=-3))).retry_after == 0


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_pass_is_unavailable(status: int) -> None:
    assert str(status) in unavailable(RequestFailed(answer(status))).message


@pytest.mark.parametrize(
    "error",
    [
        RequestTimeout(httpx.ReadTimeout("", request=REQUEST)),
        RequestError(httpx.ConnectError("")),
        ValueError(),
    ],
)
def test_no_answer_is_unavailable(error: GitHubException | ValueError) -> None:
    assert "did not answer while registering a runner" in unavailable(error).message


def test_a_page_in_place_of_an_answer_is_not_quoted() -> None:
    page = httpx.Response(404, text="<html>", request=REQUEST)
    assert "<html>" not in refused(RequestFailed(Response(page, object)))


@pytest.mark.parametrize(
    ("accepted", "granted", "lacking"),
    [
        ("", {}, ()),
        ("administration=write", {"administration": "write"}, ()),
        ("administration=write", {"administration": "admin"}, ()),
        ("administration=write", {}, (Permission("administration", "write"),)),
        ("contents=write,workflows=write", {"contents": "write"}, (Permission("workflows", "write"),)),
        ("contents=write,workflows=write; issues=read", {"issues": "read"}, ()),
        (
            "administration=something new",
            {"administration": "write"},
            (Permission("administration", "something new"),),
        ),
    ],
)
def test_what_is_lacking_of_the_permissions_that_github_names(
    accepted: str, granted: dict[str, str], lacking: tuple[Permission, ...]
) -> None:
    assert missing(accepted, granted) == lacking


def test_permissions_without_a_title_have_their_name() -> None:
    named = (Permission("actions", "read"), Permission("new_one", "new level"))
    assert titled(named) == '"Actions (repository): read-only" and "new_one: new level"'


@pytest.mark.parametrize(
    ("api", "web"),
    [
        ("https://api.github.com", "https://github.com"),
        ("https://api.octo.ghe.com", "https://octo.ghe.com"),
        ("https://ghes.example/api/v3", "https://ghes.example"),
        ("https://ghes.example:8443/api/v3/", "https://ghes.example:8443"),
        ("http://127.0.0.1:9400", "http://127.0.0.1:9400"),
    ],
)
def test_the_web_pages_of_an_api(api: str, web: str) -> None:
    assert web_url(api) == web


def test_pages_of_people_and_of_organizations() -> None:
    web = "https://github.com"
    assert new_app_page(web, None) == f"{web}/settings/apps/new"
    assert new_app_page(web, "octo-org") == f"{web}/organizations/octo-org/settings/apps/new"
    assert app_page(web, "chaser", "octocat", organization=False) == f"{web}/settings/apps/chaser"
    assert app_page(web, "chaser", "octo-org", organization=True).startswith(f"{web}/organizations/octo-org/")
    assert installation_page(web, 5, "octocat", organization=False) == f"{web}/settings/installations/5"
    assert installation_page(web, 5, "octo-org", organization=True).endswith(
        "/octo-org/settings/installations/5"
    )
