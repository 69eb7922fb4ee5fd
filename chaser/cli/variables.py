"""Options that fill a run's environment, with values that are written here or taken from here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import typer


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    env: Annotated[
        list[str] | None,
        typer.Option(metavar="K=V | NAME", help="A variable; NAME takes its value from here."),
    ] = field(default=None, repr=False)
    secret: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A variable from here that shows as *** in all output."),
    ] = None

    def fields(self, environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """`env` and `secrets` of a request, if there are any."""
        plain = dict(_variable(each, environ) for each in self.env or ())
        masked = {name: _from_here(name, environ) for name in self.secret or ()}
        return {name: values for name, values in (("env", plain), ("secrets", masked)) if values}


def _variable(text: str, environ: Mapping[str, str]) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    return name, value if equals else _from_here(name, environ)


def _from_here(name: str, environ: Mapping[str, str]) -> str:
    if "=" in name:
        raise typer.BadParameter(
            "--secret takes a name only; a value on the command line would be seen by others"
        )
    if name not in environ:
        raise typer.BadParameter(f"{name} is not set in this environment")
    return environ[name]
