"""`[[github.rules]]`: whose workflow runs run here, as it is written."""

import json
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from chaser.config_values import RepositoryPatterns, Strings, Table, fault
from chaser.runners.rules import Rule, Then

_CONDITIONS = (
    *("forks", "events", "head_repositories", "associations", "actors", "triggering_actors"),
    *("workflows", "branches"),
)


class RuleTable(Table):
    """What it does not say is so of every run; what it says must all be so."""

    then: Then
    profile: Annotated[str, Field(min_length=1)] | None = None
    """where to run it, instead of in the profile that its label names"""
    repositories: RepositoryPatterns = ()
    """what it is about; none: every public one"""
    forks: bool | None = None
    events: Strings = ()
    head_repositories: Strings = ()
    associations: Strings = ()
    actors: Strings = ()
    triggering_actors: Strings = ()
    workflows: Strings = ()
    branches: Strings = ()

    @field_validator("profile")
    @classmethod
    def _where_it_runs(cls, profile: str | None, info: ValidationInfo) -> str | None:
        if profile is not None and info.data.get("then") is not Then.RUN:
            raise fault('goes together with then = "run" alone')
        return profile

    def rule(self) -> Rule:
        said = {name: getattr(self, name) for name in _CONDITIONS}
        return Rule(self.then, self.profile, self.repositories, **said)


def _from_text(value: object) -> object:
    """A list of tables in one environment variable is written as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise fault('must be a JSON list of objects, such as [{"forks": true, "then": "refuse"}]') from None


RuleTables = Annotated[tuple[RuleTable, ...], BeforeValidator(_from_text)]
