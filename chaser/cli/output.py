"""What the program prints: documents and tables on stdout, notes on stderr."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass


def document(value: object) -> None:
    """One JSON document; in ASCII, so that no locale can spoil it."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """A message for the person, out of the way of what a script reads."""
    sys.stdout.flush()
    sys.stderr.write(f"chaser: {text}\n")
    sys.stderr.flush()


def line(text: str) -> None:
    """One line on stdout, for a script to take."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell with a colour, which shows on a terminal only."""

    text: str
    colour: str


def table(columns: Sequence[str], rows: Sequence[Sequence[str | Cell]], title: str | None = None) -> None:
    """A table on stdout; never cut or coloured where that is no terminal."""
    from rich.console import Console  # rich is slow to import
    from rich.table import Table
    from rich.text import Text

    terminal = sys.stdout.isatty()
    console = Console(
        file=sys.stdout, highlight=False, emoji=False, markup=False, width=None if terminal else 10_000
    )
    shown = Table(box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")
    for column in columns:
        shown.add_column(column)
    for row in rows:
        cells = [cell if isinstance(cell, Cell) else Cell(cell, "") for cell in row]
        shown.add_row(*(Text(printable(cell.text), style=cell.colour) for cell in cells))
    with console.capture() as captured:
        console.print(shown)
    for each in captured.get().splitlines():
        line(each.rstrip())


def printable(text: str) -> str:
    """Without what a terminal would obey: control characters and escapes."""
    return "".join(
        char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text
    )


def abandon_stdout() -> None:
    """Nobody reads stdout any more: let what is left in its buffer go nowhere, silently."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
