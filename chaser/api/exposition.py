"""Measures as text that Prometheus reads: its text format, version 0.0.4.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from collections.abc import Iterable, Iterator
from typing import Final

from chaser.measures import Labels, Measure

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def exposition(measures: Iterable[Measure]) -> str:
    """Of measures with the same name the values stand together, as the format wants it. One without values is left out."""
    by_name: dict[str, list[Measure]] = {}
    for measure in measures:
        by_name.setdefault(measure.name, []).append(measure)
    return "".join(f"{line}\n" for name in sorted(by_name) for line in _lines(by_name[name]))


def _lines(same: list[Measure]) -> Iterator[str]:
    first = same[0]
    values: dict[Labels, float] = {}
    for measure in same:
        values.update(measure.values)
    if not values:
        return
    yield f"# HELP {first.name} {_escaped(first.help)}"
    yield f"# TYPE {first.name} {first.sort.value}"
    for labels, value in values.items():
        yield f"{first.name}{_braced(labels)} {_number(value)}"


def _braced(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_quoted(value)}"' for name, value in labels) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', r"\"")


def _number(value: float) -> str:
    """As Go reads it; `inf` and `nan` too."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))
