"""Which jobs are for us, and in which profile they run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaser.runners.labels import Accepted, Declined, Grammar, NotOurs, architecture, match_labels

GRAMMAR = Grammar(frozenset({"default", "large", "no-net"}))


@pytest.mark.parametrize(
    ("labels", "profile"),
    [
        (["chaser"], "default"),
        (["chaser-default"], "default"),
        (["chaser-large"], "large"),
        (["chaser-no-net"], "no-net"),
        (["CHASER-Large"], "large"),
        (["self-hosted", "chaser"], "default"),
        (["Self-Hosted", "Linux", "X64", "chaser-large"], "large"),
    ],
)
def test_one_label_of_ours_names_the_profile(labels: list[str], profile: str) -> None:
    assert match_labels(labels, GRAMMAR) == Accepted(profile)


@pytest.mark.parametrize(
    "labels",
    [[], ["ubuntu-latest"], ["self-hosted"], ["self-hosted", "linux", "x64"], ["my-chaser"], ["gpu"]],
)
def test_without_our_prefix_a_job_is_not_ours(labels: list[str]) -> None:
    assert match_labels(labels, GRAMMAR) == NotOurs()


@pytest.mark.parametrize(
    ("labels", "advice"),
    [
        (["chaser-lagre"], "'chaser-large'"),
        (["chaser_large"], "'chaser-large'"),
        (["chasr", "chaser-lrge"], "'chaser-large'"),
        (["chasers"], "'chaser'"),
        (["chaser-zzzzzzzzzzzzzzzz"], "chaser-default, chaser-large, chaser-no-net"),
        (["chaser-"], "'chaser'"),
    ],
)
def test_an_unknown_profile_is_answered_with_the_nearest(labels: list[str], advice: str) -> None:
    match = match_labels(labels, GRAMMAR)
    assert isinstance(match, Declined)
    assert advice in match.message


@pytest.mark.parametrize(
    ("label", "plain"),
    [
        ("chaser-large-4cpu", "chaser-large"),
        ("chaser-16gb", "chaser"),
        ("chaser-large-run123", "chaser-large"),
        ("chaser-large-run123.4", "chaser-large"),
    ],
)
def test_sizes_and_pins_are_refused_by_name(label: str, plain: str) -> None:
    match = match_labels([label], GRAMMAR)
    assert isinstance(match, Declined)
    assert "neither sizes nor pins" in match.message
    assert f"{plain!r}" in match.message


def test_two_labels_of_ours_are_one_too_many() -> None:
    match = match_labels(["chaser", "chaser-large"], GRAMMAR)
    assert isinstance(match, Declined)
    assert "exactly one" in match.message


@pytest.mark.parametrize("other", ["gpu", "windows", "arm64", "ubuntu-latest"])
def test_a_label_that_no_runner_of_ours_has_is_refused(other: str) -> None:
    """GitHub gives a job only to a runner that has all of its labels."""
    match = match_labels(["chaser", other], GRAMMAR)
    assert isinstance(match, Declined)
    assert repr(other) in match.message
    assert "linux, self-hosted, x64" in match.message


def test_the_prefix_and_the_architecture_are_settings() -> None:
    grammar = Grammar(frozenset({"default"}), prefix="acme", architecture="arm64")
    assert match_labels(["acme", "arm64"], grammar) == Accepted("default")
    assert match_labels(["chaser"], grammar) == NotOurs()
    assert isinstance(match_labels(["acme", "x64"], grammar), Declined)


@pytest.mark.parametrize(
    ("machine", "word"),
    [("x86_64", "x64"), ("aarch64", "arm64"), ("arm64", "arm64"), ("AMD64", "x64"), ("s390x", "s390x")],
)
def test_architectures_have_githubs_names(machine: str, word: str) -> None:
    assert architecture(machine) == word


@given(labels=st.lists(st.text() | st.sampled_from(["chaser", "chaser-large", "linux", "CHASER-x"])))
def test_order_and_case_do_not_matter(labels: list[str]) -> None:
    """GitHub ignores both."""
    match = match_labels(labels, GRAMMAR)
    turned = match_labels([label.lower() for label in reversed(labels)], GRAMMAR)
    assert type(match) is type(turned)
    if not isinstance(match, Declined):
        assert match == turned
