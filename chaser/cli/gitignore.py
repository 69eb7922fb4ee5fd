"""Which files of a folder git would leave out: `.gitignore` at each level, as https://git-scm.com/docs/gitignore says."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

_FILE = ".gitignore"


@dataclass(frozen=True, slots=True)
class _Rules:
    base: Path
    spec: GitIgnoreSpec


class GitIgnore:
    """The rules that hold in one folder: its own, then those of the folders above it."""

    def __init__(self, rules: tuple[_Rules, ...]) -> None:
        self._rules = rules

    @classmethod
    def of(cls, folder: Path) -> "GitIgnore":
        """Those that hold in `folder` before its own: of the repository's folders above it, if it lies in one."""
        rules = cls(())
        for above in reversed([each for each in _up_to_repository(folder) if each != folder]):
            rules = rules.within(above)
        return rules

    def within(self, folder: Path) -> "GitIgnore":
        """These rules and the folder's own, which weigh more."""
        own = list[str]()
        for file in (folder / ".git" / "info" / "exclude", folder / _FILE):
            if file.is_file():
                own += file.read_text(encoding="utf-8", errors="replace").splitlines()
        if not own:
            return self
        return GitIgnore((*self._rules, _Rules(folder, GitIgnoreSpec.from_lines(own))))

    def names(self, path: Path, *, is_folder: bool) -> bool:
        """Whether `path` is left out. A folder that is left out is not looked into, as with git."""
        for rules in reversed(self._rules):
            name = path.relative_to(rules.base).as_posix() + ("/" if is_folder else "")
            verdict = rules.spec.check_file(name).include
            if verdict is not None:
                return verdict
        return False


def _up_to_repository(folder: Path) -> Iterator[Path]:
    """The folder and those above it up to the one that holds `.git`; nothing if none does."""
    upwards = [folder, *folder.parents]
    for index, each in enumerate(upwards):
        if (each / ".git").exists():
            yield from upwards[: index + 1]
            return
