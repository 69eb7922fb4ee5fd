"""What `runs-on` gets in a repository: a runner, or a refusal that says what to change. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chaser.runners.labels import Accepted, Declined, Grammar, NotOurs, match_labels, nearest
from chaser.runners.policy import Admitted, Level, Policy, Refused, Repository, admit


@dataclass(frozen=True, slots=True)
class Owed:
    """A runner is owed: in this profile, of this size, and registered at this level at most."""

    match: Accepted
    level: Level

    @property
    def input(self) -> Mapping[str, object]:
        """The part of the job's input that follows from it; sizes that the label does not say are left to the profile."""
        said = {"cpus": self.match.limits.cpus, "memory_bytes": self.match.limits.memory_bytes}
        sizes = {name: size for name, size in said.items() if size is not None}
        return {"profile": self.match.profile, "level": self.level.value, **sizes}


def admission(
    labels: Sequence[str],
    repository: Repository,
    grammar: Grammar,
    policy: Policy,
    *,
    instead: str | None = None,
) -> Owed | Declined | NotOurs:
    """`instead`: the profile to run in, whichever the label names."""
    match match_labels(labels, grammar):
        case Accepted() as named:
            match = named if instead is None else _in(instead, named, grammar)
            match admit(repository, grammar.profiles[match.profile], policy):
                case Admitted(level):
                    return Owed(match, level)
                case Refused(message):
                    return _refused(message, match, repository, grammar, policy)
        case other:
            return other


def _in(profile: str, match: Accepted, grammar: Grammar) -> Accepted:
    return Accepted(profile, match.limits.within(grammar.profiles[profile].maxima), match.pin)


def _refused(
    message: str, match: Accepted, repository: Repository, grammar: Grammar, policy: Policy
) -> Declined:
    """With the profile that the repository may use, if there is one: of several, the one that is called most alike."""
    usable = [
        name
        for name, profile in grammar.profiles.items()
        if isinstance(admit(repository, profile, policy), Admitted)
    ]
    if not usable:
        return Declined(message)
    name = nearest(match.profile, usable)
    instead = grammar.label(name, match.limits.within(grammar.profiles[name].maxima), match.pin)
    return Declined(f"{message} The nearest profile that it may use is {name!r}: write {instead!r}.", instead)
