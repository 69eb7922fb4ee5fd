"""Patterns for the files that are taken out of a sandbox. Pure.

`*`, `?`, `[…]` and `[!…]` match within a name, hidden ones too; `**` stands for any number of directories; a slash at
the end means all that is below. Matching takes time in proportion to pattern times name, whatever both are.
"""

import fnmatch
import posixpath
import re
from dataclasses import dataclass
from functools import cached_property

_MAGIC = re.compile(r"[*?\[]")
_ANY_DEPTH = "**"


@dataclass(frozen=True)
class Glob:
    """One pattern, absolute."""

    pattern: str

    @staticmethod
    def below(base: str, text: str) -> "Glob":
        """`text` as a client wrote it, relative to `base` or absolute."""
        whole = posixpath.normpath("/" + posixpath.join(base, text)).lstrip("/")
        return Glob(f"/{whole}/**" if text.endswith("/") else f"/{whole}")

    @cached_property
    def root(self) -> str:
        """Where to look: the directory below which all matches are; the file itself where nothing is left open."""
        literal: list[str] = []
        for part in self._parts:
            if _MAGIC.search(part):
                break
            literal.append(part)
        return "/" + "/".join(literal)

    @property
    def literal(self) -> bool:
        return _MAGIC.search(self.pattern) is None

    def matches(self, path: str) -> bool:
        """Whether this absolute, normal path matches."""
        names = path.strip("/").split("/")
        tests = self._tests
        at = test = 0
        # where to go on if it fails: `**` takes one name more, and only the last `**` need ever be asked
        star, star_at = -1, 0
        while at < len(names):
            if test < len(tests) and tests[test] is None:
                star, star_at = test, at
                test += 1
            elif test < len(tests) and (wanted := tests[test]) is not None and wanted.match(names[at]):
                at += 1
                test += 1
            elif star >= 0:
                star_at += 1
                at, test = star_at, star + 1
            else:
                return False
        return test == len(tests)

    @cached_property
    def _parts(self) -> list[str]:
        parts = [part for part in self.pattern.split("/") if part]
        return [*parts, "*"] if parts[-1:] == [_ANY_DEPTH] else parts

    @cached_property
    def _tests(self) -> list[re.Pattern[str] | None]:
        # fnmatch takes each stretch between two stars at its first place, and never goes back behind it
        return [None if part == _ANY_DEPTH else re.compile(fnmatch.translate(part)) for part in self._parts]
