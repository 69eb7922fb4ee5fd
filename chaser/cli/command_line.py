"""The command that was typed: one word for the shell, or words after `--`."""

from typing import Annotated

import typer

Words = Annotated[
    list[str],
    typer.Argument(metavar='"CMD" | -- ARG…', help="A shell command in quotes, or words after --."),
]


def command(words: list[str], *, separated: bool) -> str:
    """One word is a shell command, unless it came after `--`: there each word is an argument, quoted as such."""
    if separated:
        import shlex  # not for every start

        return shlex.join(words)
    if len(words) > 1:
        raise typer.BadParameter("give the command in one pair of quotes, or its words after --")
    return words[0]
