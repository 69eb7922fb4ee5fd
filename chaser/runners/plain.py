"""Text of others as a line of a log at GitHub. Pure."""

from typing import Final

_MARK: Final = "##["
"""How a line of a log becomes a group, an error or a warning."""


def plain(text: str) -> str:
    """One line that a terminal, a browser and GitHub's log all show as it is."""
    one_line = " ".join(text.split()).replace(_MARK, "## [")
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in one_line
    )
