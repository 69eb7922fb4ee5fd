"""What `runs-on` gets in a repository."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from chaser.runners.admission import Owed, admission
from chaser.runners.labels import Accepted, Declined, Grammar, NotOurs, Sizes
from chaser.runners.policy import Level, Policy, Repository
from chaser.sandboxes.spec import Limits
from tests.profiles import named

PROFILES = {
    **named("default", "large"),
    "large-acme": replace(named("large-acme")["large-acme"], repositories=("acme/*",)),
    "small": replace(named("small")["small"], maxima=Limits(cpus=2, memory_bytes=4 << 30)),
}
GRAMMAR = Grammar(PROFILES)
PRIVATE = Repository("octo-org/app", private=True, owner_is_organization=True)


def declined(labels: Sequence[str], repository: Repository, grammar: Grammar = GRAMMAR) -> Declined:
    answer = admission(labels, repository, grammar, Policy())
    assert isinstance(answer, Declined)
    return answer


def test_a_runner_is_owed_in_the_profile_and_of_the_size_that_the_label_says() -> None:
    answer = admission(["chaser-large-4cpu-run7", "linux"], PRIVATE, GRAMMAR, Policy())
    assert answer == Owed(Accepted("large", Sizes(cpus=4), "7"), Level.ORGANIZATION)


def test_the_job_is_told_no_more_than_the_label_says() -> None:
    assert Owed(Accepted("large"), Level.REPOSITORY).input == {"profile": "large", "level": "repository"}
    sized = Owed(Accepted("large", Sizes(4, 8 << 30), "7"), Level.ORGANIZATION)
    assert sized.input == {
        "profile": "large",
        "level": "organization",
        "cpus": 4,
        "memory_bytes": 8 << 30,
    }


def test_a_public_repository_that_is_allowed_by_name_is_owed_one_of_its_own() -> None:
    public = replace(PRIVATE, private=False)
    answer = admission(["chaser"], public, GRAMMAR, Policy(("octo-org/*",)))
    assert answer == Owed(Accepted("default"), Level.REPOSITORY)


def test_labels_of_others_are_not_ours_whatever_the_repository_is() -> None:
    public = replace(PRIVATE, private=False)
    assert admission(["self-hosted", "linux"], public, GRAMMAR, Policy()) == NotOurs()


def test_a_label_that_is_not_understood_is_refused_as_such() -> None:
    assert declined(["chaser-lagre"], PRIVATE).instead == "chaser-large"


def test_a_repository_that_may_not_use_the_profile_is_told_of_the_nearest_that_it_may() -> None:
    answer = declined(["chaser-large-acme-4cpu-run7"], PRIVATE)
    assert "profiles.large-acme.repositories" in answer.message
    assert "The nearest profile that it may use is 'large': write 'chaser-large-4cpu-run7'." in answer.message
    assert answer.instead == "chaser-large-4cpu-run7"


def test_the_other_profiles_maxima_hold_for_what_is_advised() -> None:
    profiles = {name: PROFILES[name] for name in ("large-acme", "small")}
    closed = replace(named("default")["default"], repositories=())
    answer = declined(["chaser-large-acme-4cpu"], PRIVATE, Grammar({"default": closed, **profiles}))
    assert answer.instead == "chaser-small-2cpu"


def test_where_no_profile_would_do_none_is_named() -> None:
    answer = declined(["chaser-large"], replace(PRIVATE, private=False))
    assert "github.public_repositories" in answer.message
    assert answer.instead is None


@given(
    labels=st.lists(st.text() | st.sampled_from(["chaser", "chaser-large-acme", "chaser-99cpu", "linux"])),
    name=st.text() | st.sampled_from(["octo-org/app", "acme/app"]),
    private=st.booleans(),
)
def test_what_is_advised_would_be_owed(labels: list[str], name: str, private: bool) -> None:
    repository = Repository(name, private, owner_is_organization=False)
    policy = Policy(("acme/*",))
    match admission(labels, repository, GRAMMAR, policy):
        case Declined(message, instead):
            assert message
            again = None if instead is None else admission([instead], repository, GRAMMAR, policy)
            assert again is None or not isinstance(again, NotOurs)
        case Owed(match, level):
            assert match.profile in PROFILES
            assert level is Level.REPOSITORY
        case NotOurs():
            assert not any(label.startswith("chaser") for label in labels)
