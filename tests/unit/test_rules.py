"""Whose runs run here."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaser.runners.patterns import matches
from chaser.runners.rules import Cleared, Held, Rule, Rules, Run, Then, Turned, Verdict

OURS = "octo-org/site"
OWN = Run("push", OURS, "octocat", "octocat", ".github/workflows/ci.yml", "main")
FORK = Run(
    "pull_request", "stranger/site", "stranger", "stranger", ".github/workflows/ci.yml", "patch-1", "NONE"
)
REFUSE, RUN = Rule(Then.REFUSE), Rule(Then.RUN)


def judged(run: Run, *rules: Rule, private: bool = False, forks: Then = Then.HOLD) -> Verdict:
    return Rules(rules, forks).judge(OURS, run, private=private)


def test_a_run_of_the_repositorys_own_commit_runs() -> None:
    assert judged(OWN) == Cleared()


def test_a_run_of_a_forks_commit_is_held_unless_another_is_wanted() -> None:
    verdict = judged(FORK)
    assert isinstance(verdict, Held)
    assert "stranger/site" in verdict.message
    assert "github.forks" in verdict.message
    assert isinstance(judged(FORK, forks=Then.REFUSE), Turned)
    assert judged(FORK, forks=Then.RUN) == Cleared()


def test_a_fork_that_is_gone_is_still_a_fork() -> None:
    assert isinstance(judged(replace(FORK, head_repository=None)), Held)


def test_the_case_of_a_name_makes_no_fork() -> None:
    assert judged(replace(OWN, head_repository="Octo-Org/Site")) == Cleared()


def test_the_first_rule_that_fits_decides() -> None:
    maintainers = Rule(Then.RUN, actors=("octocat",))
    assert judged(replace(FORK, actor="octocat"), maintainers, REFUSE) == Cleared()
    verdict = judged(FORK, maintainers, REFUSE)
    assert isinstance(verdict, Turned)
    assert "rule 2 of github.rules" in verdict.message


@pytest.mark.parametrize(
    ("said", "fitting"),
    [
        ({}, True),
        ({"forks": True}, True),
        ({"forks": False}, False),
        ({"events": ("pull_request*",)}, True),
        ({"events": ("push",)}, False),
        ({"head_repositories": ("STRANGER/*",)}, True),
        ({"head_repositories": ("octo-org/*",)}, False),
        ({"associations": ("none", "first_time*")}, True),
        ({"associations": ("MEMBER",)}, False),
        ({"actors": ("str?nger",)}, True),
        ({"actors": ("strange",)}, False),
        ({"triggering_actors": ("octocat",)}, False),
        ({"workflows": (".github/workflows/*.yml",)}, True),
        ({"workflows": ("ci.yml",)}, False),
        ({"branches": ("patch-*",)}, True),
        ({"branches": ("main",)}, False),
        ({"events": ("pull_request",), "actors": ("octocat",)}, False),
    ],
)
def test_all_that_a_rule_says_must_be_so(said: dict[str, Any], fitting: bool) -> None:
    assert isinstance(judged(FORK, Rule(Then.REFUSE, **said)), Turned if fitting else Held)


def test_of_whom_github_says_nothing_is_nobody() -> None:
    """A rule that lets members run must not let those run of whom it was not asked."""
    unknown = replace(FORK, association=None, actor=None)
    assert isinstance(judged(unknown, Rule(Then.RUN, associations=("MEMBER",))), Held)
    assert isinstance(judged(unknown, Rule(Then.RUN, actors=("*",))), Held)
    assert isinstance(judged(unknown, Rule(Then.REFUSE, associations=("NONE",))), Turned)


def test_a_rule_may_send_a_run_to_another_profile() -> None:
    assert judged(FORK, Rule(Then.RUN, "strangers", forks=True)) == Cleared("strangers")


def test_a_rule_that_names_no_repositories_is_about_public_ones() -> None:
    assert judged(FORK, REFUSE, private=True) == Cleared()
    named = Rule(Then.REFUSE, repositories=("octo-org/*",))
    assert isinstance(judged(FORK, named, private=True), Turned)
    assert isinstance(judged(FORK, Rule(Then.REFUSE, repositories=("acme/*",)), forks=Then.HOLD), Held)


@pytest.mark.parametrize(
    ("rules", "private", "asked"),
    [
        (Rules(), True, False),
        (Rules(), False, True),
        (Rules(forks=Then.RUN), False, False),
        (Rules((REFUSE,), Then.RUN), False, True),
        (Rules((REFUSE,)), True, False),
        (Rules((Rule(Then.HOLD, repositories=("octo-org/*",)),)), True, True),
    ],
)
def test_github_is_asked_only_where_the_answer_counts(rules: Rules, private: bool, asked: bool) -> None:
    assert rules.asked(OURS, private=private) is asked


def test_authors_are_asked_for_only_where_a_rule_names_them() -> None:
    named = Rule(Then.RUN, associations=("MEMBER",))
    assert Rules((named,)).association_counts(OURS, private=False)
    assert not Rules((named,)).association_counts(OURS, private=True)
    assert not Rules((REFUSE, RUN)).association_counts(OURS, private=False)


def test_brackets_are_themselves() -> None:
    assert matches(("dependabot[bot]",), "dependabot[bot]")
    assert not matches(("dependabot[bot]",), "dependabotb")


@given(st.text(), st.text())
def test_a_pattern_without_marks_means_itself_alone(pattern: str, text: str) -> None:
    plain = pattern.replace("*", "").replace("?", "")
    assert matches((plain,), plain)
    if matches((plain,), text):
        assert len(plain) == len(text)


@given(st.builds(Run, *[st.text()] * 6, st.none() | st.text()), st.booleans())
def test_without_rules_only_forks_of_public_repositories_are_stopped(run: Run, private: bool) -> None:
    stopped = isinstance(judged(run, private=private), Held)
    assert stopped is (not private and run.of_fork(OURS))
