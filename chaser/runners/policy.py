"""Who may use the fleet: which repositories, in which profile, and where their runners are registered. Pure.

Anyone can open a pull request against a public repository, and so have code of theirs run by its workflows
(https://docs.github.com/en/actions/reference/security/secure-use#hardening-for-self-hosted-runners). So a public one is
refused unless it is allowed by name, and its runners are its own: one that is registered with the organization could be
given a job of another repository, and the other way round.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from chaser.runners.patterns import covers, covers_all_of
from chaser.runners.rules import Rules
from chaser.sandboxes.spec import Profile


class Level(StrEnum):
    """Where a runner is registered."""

    ORGANIZATION = "organization"
    REPOSITORY = "repository"


@dataclass(frozen=True, slots=True)
class Repository:
    """`full_name` is `owner/name`. One that is internal to an enterprise is private."""

    full_name: str
    private: bool
    owner_is_organization: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for all profiles."""

    public_repositories: tuple[str, ...] = ()
    """Patterns of the public repositories that may have runners at all."""
    repositories: tuple[str, ...] = ("*/*",)
    """Patterns of all that may, public or not."""
    rules: Rules = field(default_factory=Rules)
    """Which of their runs do."""

    def screens(self, repository: Repository) -> bool:
        """Whether a run of this repository has to be looked at first."""
        return self.rules.asked(repository.full_name, private=repository.private)

    def guards(self, repository: Repository, profile: Profile, level: Level) -> bool:
        """Whether a runner that is made for this repository could be given a job for which none would be made."""
        if self.screens(repository):
            return True
        owner = repository.full_name.partition("/")[0]
        everybody = all(
            covers_all_of(patterns, owner) for patterns in (self.repositories, profile.repositories)
        )
        wide = level is Level.ORGANIZATION
        return wide and (not everybody or self.rules.name_private())


@dataclass(frozen=True, slots=True)
class Admitted:
    """`level` is the widest that is allowed; whether the App may register there is GitHub's to say."""

    level: Level


@dataclass(frozen=True, slots=True)
class Refused:
    """`message` names each setting that is in the way."""

    message: str


def admit(repository: Repository, profile: Profile, policy: Policy) -> Admitted | Refused:
    name, faults = repository.full_name, list[str]()
    if not repository.private and not covers(policy.public_repositories, name):
        faults.append(
            f"The repository {name} is public: whoever opens a pull request there could run code here. "
            f"If that is wanted, add {name!r} to github.public_repositories."
        )
    if not covers(policy.repositories, name):
        faults.append(
            f"The repository {name} is not among those that may have runners here: add {name!r} to github.repositories."
        )
    if not covers(profile.repositories, name):
        faults.append(
            f"The profile {profile.name!r} is not for the repository {name}: "
            f"add {name!r} to profiles.{profile.name}.repositories, or use another profile."
        )
    if faults:
        return Refused(" ".join(faults))
    return Admitted(widest(repository))


def widest(repository: Repository) -> Level:
    """The widest level at which its runners may be registered."""
    wide = repository.private and repository.owner_is_organization
    return Level.ORGANIZATION if wide else Level.REPOSITORY
