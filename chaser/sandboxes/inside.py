"""Paths inside a workspace, as clients write them. Pure.

Names are bytes, as on disk; in a URL any byte can be written, percent-encoded. What is shown of them in JSON is UTF-8, with
what is not put as U+FFFD; the percent-encoded form beside it is exact.
"""

from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import quote_from_bytes, unquote_to_bytes

from chaser.errors import Rejected

LONGEST_NAME = 255
LONGEST_PATH = 4095


@dataclass(frozen=True, slots=True)
class Inside:
    """A place in a workspace: the parts of its path; none are the workspace itself."""

    parts: tuple[bytes, ...]

    @property
    def directory(self) -> bytes:
        """Where it lies."""
        return b"/".join(self.parts[:-1])

    @property
    def name(self) -> bytes:
        return self.parts[-1] if self.parts else b""

    @property
    def encoded(self) -> str:
        return quote_from_bytes(b"/".join(self.parts), safe="/")

    @property
    def shown(self) -> str:
        return b"/".join(self.parts).decode("utf-8", "replace")


def inside(encoded: str | bytes) -> Inside:
    """The place that a percent-encoded path names. Raises `Rejected` for what is none, or leads out."""
    path = unquote_to_bytes(encoded)
    if b"\0" in path:
        _refuse("it has a NUL")
    if path.startswith(b"/"):
        _refuse("it is absolute; a path in a workspace begins without a slash")
    parts = path.removesuffix(b"/").split(b"/") if path else []
    if any(part in {b".", b".."} for part in parts):
        _refuse("it has a part `.` or `..`")
    if b"" in parts:
        _refuse("it has an empty part")
    if len(path) > LONGEST_PATH or any(len(part) > LONGEST_NAME for part in parts):
        _refuse(f"a path may have {LONGEST_PATH} bytes, and each of its parts {LONGEST_NAME}")
    return Inside(tuple(parts))


def _refuse(why: str) -> NoReturn:
    raise Rejected(422, "invalid_path", f"This is no path in a workspace: {why}.")
