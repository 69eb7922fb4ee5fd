"""What calls to GitHub come to, and how much may still be asked: declared here, by the fleet; `chaser.github` keeps it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chaser.measures import Measure, Sort


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of an hour's budget at GitHub, as it told last."""

    limit: int
    remaining: int
    reset_at: datetime
    """When it is whole again."""


@dataclass(frozen=True, slots=True)
class Spending:
    """The calls as one installation, since this process began. Those for tokens are the App's own, and not among them."""

    installation_id: int
    calls: Mapping[str, int]
    """By what they were for: `mint`, `truth`, `delete`, `sweep`."""
    runners: int
    """How many were registered."""
    limited: int
    """How often GitHub refused a call because of a limit."""
    waiting: int
    """Calls that wait for their turn now."""
    left: Mapping[str, Left]
    """By GitHub's name of the budget: `core`, `actions_runner_registration`. What it has not told of is left out."""

    @property
    def calls_per_job(self) -> float | None:
        """None: there was no job yet. A runner is registered for each."""
        return sum(self.calls.values()) / self.runners if self.runners else None


class Budgets(Protocol):
    def remaining(self, installation_id: int) -> float:
        """Which part is left of the installation's budget for calls that are no registration: 1 as far as nothing is
        known, 0 while a limit holds."""
        ...

    def spendings(self) -> Sequence[Spending]: ...


def measures(spendings: Sequence[Spending]) -> Sequence[Measure]:
    """The budget, for operators."""
    per_job = {each.installation_id: each.calls_per_job for each in spendings}
    return (
        Measure(
            "chaser_github_calls_total",
            "Calls to GitHub as an installation, by what they were for.",
            Sort.COUNTER,
            {
                (("installation", str(each.installation_id)), ("purpose", purpose)): count
                for each in spendings
                for purpose, count in each.calls.items()
            },
        ),
        _each(
            "chaser_github_runners_total",
            "Runners registered.",
            Sort.COUNTER,
            {each.installation_id: each.runners for each in spendings},
        ),
        _each(
            "chaser_github_calls_per_job",
            "Calls to GitHub for each runner that was registered; above 3 the sweeps cost more than the jobs.",
            Sort.GAUGE,
            {number: ratio for number, ratio in per_job.items() if ratio is not None},
        ),
        _each(
            "chaser_github_limits_total",
            "Calls that GitHub refused because of a rate limit. Stays at 0 unless something else calls as this App; "
            "if it grows, lower github.points_per_minute.",
            Sort.COUNTER,
            {each.installation_id: each.limited for each in spendings},
        ),
        _each(
            "chaser_github_calls_waiting",
            "Calls to GitHub that wait for their turn.",
            Sort.GAUGE,
            {each.installation_id: each.waiting for each in spendings},
        ),
        Measure(
            "chaser_github_budget_remaining",
            "Calls that GitHub still allows in this hour.",
            Sort.GAUGE,
            {
                (("installation", str(each.installation_id)), ("resource", resource)): left.remaining
                for each in spendings
                for resource, left in each.left.items()
            },
        ),
    )


def _each(name: str, help_text: str, sort: Sort, values: Mapping[int, float]) -> Measure:
    return Measure(
        name, help_text, sort, {(("installation", str(key)),): each for key, each in values.items()}
    )
