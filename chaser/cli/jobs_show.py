"""Jobs as they are shown to a person, and to a script."""

import json as json_
from collections.abc import Mapping, Sequence

from chaser.cli import document, exit_status, output
from chaser.cli.ending import sentence
from chaser.cli.http import Document
from chaser.cli.piece import Piece, aside

_LONG = frozenset({"output", "steps", "timings"})
"""Parts of a result that have a place of their own."""


def one(job: Document, *, json: bool) -> None:
    if json:
        output.document(job)
        return
    shown = {name: value for name, value in job.items() if value not in (None, {}, [])}
    result = {name: value for name, value in document.table(job.get("result")).items() if name not in _LONG}
    if result:
        shown["result"] = result
    output.table(("field", "value"), [[name, cell(value)] for name, value in shown.items()])


def finished(job: Document, *, json: bool) -> None:
    """A job that has ended, with its exit code and output where a script looks first."""
    result = document.table(job.get("result"))
    code = exit_status.command_code(job)
    if json:
        output.document({**job, "exit_code": code, "output": result.get("output")})
    else:
        one(job, json=False)
        _steps(document.items(result.get("steps")))
    told = sentence(job)
    if told:
        output.note(told)


def _steps(steps: Sequence[object]) -> None:
    if not steps:
        return
    output.line("")
    columns = ("step", "status", "reason", "exit_code", "duration_ms")
    rows = [document.table(step) for step in steps]
    output.table(
        columns, [[cell(row.get("name" if each == "step" else each)) for each in columns] for row in rows]
    )


def rows(columns: Sequence[str], found: Sequence[Mapping[str, object]]) -> None:
    output.table(columns, [[cell(each.get(column)) for column in columns] for each in found])


def cell(value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case _:
            return json_.dumps(value, ensure_ascii=False)


class Steps:
    """A pipeline's output on stderr, with a line wherever a next step begins."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._step: int | None = None

    def __call__(self, piece: Piece) -> None:
        if piece.step != self._step and piece.step < len(self._names):
            self._step = piece.step
            output.note(
                f"step {piece.step + 1} of {len(self._names)}: {output.printable(self._names[piece.step])}"
            )
        aside(piece)
