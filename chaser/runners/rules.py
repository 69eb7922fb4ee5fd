"""Whose workflow runs run here: rules over what GitHub says of a run, and what is done where none of them fits. Pure.

A pull request from a fork is code of somebody who could not push it. GitHub says so of a run, and not of its jobs: see
`chaser.runners.screening`, which asks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from chaser.runners.patterns import covers, matches


class Then(StrEnum):
    RUN = "run"
    HOLD = "hold"
    """Until somebody approves the run."""
    REFUSE = "refuse"


NOBODY: Final = "NONE"
"""GitHub's word for an author who has nothing to do with the repository; ours also for one of whom it says nothing.

https://docs.github.com/en/graphql/reference/enums#commentauthorassociation
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What rules look at. Words are GitHub's own, and its lists are open."""

    event: str
    head_repository: str | None
    """`owner/name` of the repository that the commit is from; none: it was deleted since."""
    actor: str | None
    """Whose doing the run is."""
    triggering_actor: str | None
    """Who has this attempt made: of a re-run, whoever asked for it."""
    workflow: str
    """The path of its file: `.github/workflows/ci.yml`."""
    branch: str | None
    """The name of the branch or tag that the commit is from."""
    association: str | None = None
    """How the actor stands to the repository, as the author of the pull request (`MEMBER`, `CONTRIBUTOR`, …); `NONE`: not
    at all, or the pull request is another's. None: nobody has asked."""

    def of_fork(self, repository: str) -> bool:
        return self.head_repository is None or self.head_repository.lower() != repository.lower()


@dataclass(frozen=True, slots=True)
class Rule:
    """What is empty or none says nothing; what is said must all be so. Patterns have `*` and `?`, and no brackets, since
    names at GitHub may have them (`dependabot[bot]`); case does not matter."""

    then: Then
    profile: str | None = None
    """The profile in which it is run instead of the one that its label names."""
    repositories: tuple[str, ...] = ()
    """As everywhere in the settings; none are named: every public one."""
    forks: bool | None = None
    """Whether the commit is from another repository."""
    events: tuple[str, ...] = ()
    head_repositories: tuple[str, ...] = ()
    associations: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()
    triggering_actors: tuple[str, ...] = ()
    workflows: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()

    def about(self, repository: str, *, private: bool) -> bool:
        return covers(self.repositories, repository) if self.repositories else not private

    def fits(self, repository: str, run: Run) -> bool:
        pairs: tuple[tuple[tuple[str, ...], str | None], ...] = (
            (self.events, run.event),
            (self.head_repositories, run.head_repository),
            (self.associations, run.association or NOBODY),
            (self.actors, run.actor),
            (self.triggering_actors, run.triggering_actor),
            (self.workflows, run.workflow),
            (self.branches, run.branch),
        )
        right_origin = self.forks is None or self.forks == run.of_fork(repository)
        return right_origin and all(
            not patterns or (value is not None and matches(patterns, value)) for patterns, value in pairs
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """The first that fits decides. `forks` is for runs of public repositories whose commit is from another one."""

    rules: tuple[Rule, ...] = ()
    forks: Then = Then.HOLD

    def asked(self, repository: str, *, private: bool) -> bool:
        """Whether it must be known what a run of this repository is."""
        open_to_forks = private or self.forks is Then.RUN
        return not open_to_forks or bool(self._about(repository, private=private))

    def name_private(self) -> bool:
        """Whether a private repository may have runs that do not run."""
        return any(rule.repositories for rule in self.rules)

    def association_counts(self, repository: str, *, private: bool) -> bool:
        return any(rule.associations for rule in self._about(repository, private=private))

    def judge(self, repository: str, run: Run, *, private: bool) -> "Verdict":
        for rule in self._about(repository, private=private):
            if rule.fits(repository, run):
                place = f"The rule {self.rules.index(rule) + 1} of github.rules"
                return _verdict(rule.then, rule.profile, place, repository, run)
        if not private and run.of_fork(repository):
            return _verdict(self.forks, None, "github.forks", repository, run)
        return Cleared()

    def _about(self, repository: str, *, private: bool) -> Sequence[Rule]:
        return [rule for rule in self.rules if rule.about(repository, private=private)]


@dataclass(frozen=True, slots=True)
class Cleared:
    profile: str | None = None
    """The profile to run it in; none: the one that its label names."""


@dataclass(frozen=True, slots=True)
class Turned:
    """Away. `message` says why, and which setting says so."""

    message: str


@dataclass(frozen=True, slots=True)
class Held:
    message: str


Verdict = Cleared | Turned | Held


def _verdict(then: Then, profile: str | None, place: str, repository: str, run: Run) -> Verdict:
    match then:
        case Then.RUN:
            return Cleared(profile)
        case Then.REFUSE:
            return Turned(f"{_said(repository, run)} {place} refuses that.")
        case Then.HOLD:
            return Held(f"{_said(repository, run)} {place} wants somebody to look at it first.")


def _said(repository: str, run: Run) -> str:
    author = run.actor or "somebody unknown"
    if not run.of_fork(repository):
        return f"Its run is of the event {run.event!r}, by {author}, on {run.branch or 'no branch'}."
    origin = f"the fork {run.head_repository}" if run.head_repository else "a fork that is gone"
    return f"Its run is of the event {run.event!r}, by {author}, with a commit from {origin}."
