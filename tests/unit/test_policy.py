"""Which repositories may use the fleet, in which profile, and where their runners are registered."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaser.runners.patterns import covers
from chaser.runners.policy import Admitted, Level, Policy, Refused, Repository, admit, widest
from chaser.runners.rules import Rule, Rules, Then
from chaser.sandboxes.spec import Profile
from tests.profiles import named

PROFILE = named("large")["large"]
OURS = replace(PROFILE, repositories=("octo-org/*", "acme/tool"))
PRIVATE = Repository("octo-org/app", private=True, owner_is_organization=True)
PUBLIC = replace(PRIVATE, private=False)


def refused(repository: Repository, *, policy: Policy | None = None) -> str:
    admitted = admit(repository, OURS, policy or Policy())
    assert isinstance(admitted, Refused)
    return admitted.message


def test_a_private_repository_needs_no_leave() -> None:
    assert admit(PRIVATE, PROFILE, Policy()) == Admitted(Level.ORGANIZATION)


def test_a_personal_accounts_runners_are_the_repositorys() -> None:
    personal = replace(PRIVATE, owner_is_organization=False)
    assert admit(personal, PROFILE, Policy()) == Admitted(Level.REPOSITORY)


def test_a_public_repository_is_refused_with_the_setting_that_would_allow_it() -> None:
    message = refused(PUBLIC)
    assert "is public" in message
    assert "add 'octo-org/app' to github.public_repositories" in message
    assert "profiles." not in message


@pytest.mark.parametrize("pattern", ["octo-org/app", "Octo-Org/APP", "octo-*/*", "*/*"])
def test_a_public_repository_that_is_allowed_has_runners_of_its_own(pattern: str) -> None:
    assert admit(PUBLIC, PROFILE, Policy((pattern,))) == Admitted(Level.REPOSITORY)


def test_a_profile_may_be_for_some_repositories_only() -> None:
    assert admit(PRIVATE, OURS, Policy()) == Admitted(Level.ORGANIZATION)
    message = refused(replace(PRIVATE, full_name="acme/other"))
    assert "add 'acme/other' to profiles.large.repositories" in message
    assert "public" not in message


def test_a_profile_may_be_for_none() -> None:
    assert isinstance(admit(PRIVATE, replace(PROFILE, repositories=()), Policy()), Refused)


def test_a_repository_may_be_left_out_whether_public_or_not() -> None:
    message = refused(PRIVATE, policy=Policy(repositories=("acme/*",)))
    assert "add 'octo-org/app' to github.repositories" in message


REFUSING = Rule(Then.REFUSE, actors=("mallory",))


@pytest.mark.parametrize(
    ("repository", "profile", "policy", "guarded"),
    [
        (PRIVATE, PROFILE, Policy(), False),
        (PUBLIC, PROFILE, Policy(("*/*",)), True),
        (PUBLIC, PROFILE, Policy(("*/*",), rules=Rules(forks=Then.RUN)), False),
        (PUBLIC, PROFILE, Policy(("*/*",), rules=Rules((REFUSING,), Then.RUN)), True),
        (PRIVATE, OURS, Policy(), False),
        (PRIVATE, replace(PROFILE, repositories=("octo-org/app",)), Policy(), True),
        (PRIVATE, replace(PROFILE, repositories=("octo-org/*",)), Policy(), False),
        (PRIVATE, replace(PROFILE, repositories=("octo-org/?",)), Policy(), True),
        (PRIVATE, PROFILE, Policy(repositories=("octo-org/app",)), True),
        (PRIVATE, PROFILE, Policy(rules=Rules((REFUSING,))), False),
        (
            PRIVATE,
            PROFILE,
            Policy(rules=Rules((replace(REFUSING, repositories=("octo-org/secret",)),))),
            True,
        ),
        (
            replace(PRIVATE, owner_is_organization=False),
            replace(PROFILE, repositories=("octo-org/app",)),
            Policy(),
            False,
        ),
    ],
)
def test_a_runner_is_guarded_where_a_job_that_would_get_none_could_be_given_it(
    repository: Repository, profile: Profile, policy: Policy, guarded: bool
) -> None:
    assert policy.guards(repository, profile, widest(repository)) is guarded


def test_both_refusals_are_told_at_once() -> None:
    message = refused(replace(PUBLIC, full_name="acme/other"))
    assert "github.public_repositories" in message
    assert "profiles.large.repositories" in message


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("octo/app", ["octo/app", "OCTO/App"], ["octo/apps", "octo/ap", "x/app"]),
        ("octo/*", ["octo/app", "octo/a.b-c_d"], ["octopus/app", "octo", "octo/a/b"]),
        ("*/app", ["octo/app"], ["octo/x/app", "app"]),
        ("*", [], ["octo/app", "octo/"]),
        ("oct?/app-[0-9]", ["octo/app-1"], ["oct/app-1", "octo/app-x"]),
        ("octo/app-[!A-C]", ["octo/app-d"], ["octo/app-a", "octo/app-B"]),
        ("octo/[", ["octo/["], ["octo/a"]),
        ("octo?app", [], ["octo/app"]),
        ("octo[/]app", [], ["octo/app"]),
    ],
)
def test_a_pattern_means_these_and_not_those(pattern: str, yes: list[str], no: list[str]) -> None:
    assert [name for name in [*yes, *no] if covers([pattern], name)] == yes


def test_one_of_several_patterns_is_enough() -> None:
    assert covers(["a/*", "octo/*"], "octo/app")
    assert not covers([], "octo/app")


@given(pattern=st.text(), name=st.text())
def test_whatever_the_names_are_there_is_an_answer(pattern: str, name: str) -> None:
    assert covers([pattern], name) in {True, False}


WORDS = st.from_regex(r"[A-Za-z0-9_.-]{1,39}", fullmatch=True)


@given(owner=WORDS, name=WORDS, public=st.booleans(), organization=st.booleans())
def test_a_public_repository_never_gets_a_runner_of_the_organization(
    owner: str, name: str, public: bool, organization: bool
) -> None:
    repository = Repository(f"{owner}/{name}", not public, organization)
    assert isinstance(admit(repository, PROFILE, Policy()), Refused) is public
    match admit(repository, PROFILE, Policy((f"{owner.upper()}/*",))):
        case Admitted(level):
            assert level is (Level.ORGANIZATION if organization and not public else Level.REPOSITORY)
        case Refused():
            pytest.fail("it is allowed by name")


def test_a_hostile_pattern_costs_little() -> None:
    """Ended by the suite's time limit if stars are tried in every combination."""
    assert not covers(["*a" * 60 + "b/*"], f"{'a' * 100}/x")
