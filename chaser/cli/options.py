"""Options that several commands share: a dataclass of them is one parameter, and Typer sees each of its fields."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

Command = Callable[..., None]


def spread(command: Command) -> Command:
    """The command as Typer is to see it: each parameter that is a dataclass is replaced by that dataclass's fields."""
    hints = get_type_hints(command, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if dataclasses.is_dataclass(hint)}

    def typed(**given: object) -> None:
        made = {name: group(**_taken(group, given)) for name, group in groups.items() if callable(group)}
        command(**given, **made)

    parameters = [
        each
        for parameter in inspect.signature(command, eval_str=True).parameters.values()
        for each in _shown(parameter, groups.get(parameter.name))
    ]
    ordered = sorted(parameters, key=lambda each: each.default is not inspect.Parameter.empty)
    typed.__doc__ = command.__doc__
    typed.__setattr__("__signature__", inspect.Signature(ordered))
    return typed


def _shown(parameter: inspect.Parameter, group: Any) -> list[inspect.Parameter]:  # noqa: ANN401 - any dataclass
    if group is None:
        return [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)]
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in dataclasses.fields(group)
    ]


def _taken(group: Any, given: dict[str, object]) -> Mapping[str, object]:  # noqa: ANN401 - any dataclass
    return {field.name: given.pop(field.name) for field in dataclasses.fields(group)}
