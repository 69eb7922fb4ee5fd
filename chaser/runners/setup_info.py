"""What a job's log at GitHub says of its runner, under "Set up job": the groups in the runner's file `.setup_info`.

The runner prints them as they are, one group after the other, and goes on without them where it cannot read the file.
https://github.com/actions/runner/blob/main/src/Runner.Worker/JobExtension.cs
"""

import json
import shlex
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from chaser.runners.plain import plain

PATH: Final = "/home/runner/.setup_info"
"""Where the runner looks for it: in its own root."""

LINE: Final = 300
"""Characters of a line. With as few lines as there are the file stays far below the 128 KiB that one argument of a
process may have, however its characters are written."""


@dataclass(frozen=True, slots=True)
class SetupInfo:
    """What people ask of a runner first. Nothing of it is secret: whoever may read the workflow's log may read this."""

    profile: str
    waited: timedelta
    """From GitHub's delivery to the start of the runner."""
    reason: str | None
    """Why it waited, in words; none: for nothing but its own start."""
    image: str
    """As the profile names it."""
    digest: str
    """The registry's digest of the image, or the engine's id of one that was never in a registry."""
    url: str | None
    """Where the job is shown; none: the service does not know its own address."""
    refusal: str | None = None
    """Why the job will not be run; none: it will."""

    def render(self) -> str:
        """The file's content: JSON in ASCII, on one line."""
        wait = _duration(self.waited) if self.reason is None else f"{_duration(self.waited)} ({self.reason})"
        job = {"Profile": self.profile, "Waited": wait} | ({} if self.url is None else {"Job": self.url})
        image = {"Image": self.image, "Digest": self.digest}
        groups = [_group("Chaser", job), _group("Chaser sandbox image", image)]
        if self.refusal is not None:
            words = textwrap.wrap(plain(self.refusal), LINE) or [""]
            groups.insert(0, {"group": "Chaser does not run this job", "detail": "\n".join(words)})
        return json.dumps(groups)


def writing(info: SetupInfo, path: str = PATH) -> str:
    """Shell text that writes the file; it ends in a newline, and the runner's own command comes after it.

    For any POSIX shell, by builtins alone. Where the file cannot be written the runner starts all the same.
    """
    return f"{{ printf '%s\\n' {shlex.quote(info.render())} >{shlex.quote(path)}; }} 2>/dev/null || :\n"


def _group(name: str, lines: Mapping[str, str]) -> Mapping[str, str]:
    return {"group": name, "detail": "\n".join(_lines(lines.items()))}


def _lines(pairs: Iterable[tuple[str, str]]) -> Iterable[str]:
    for name, value in pairs:
        line = plain(f"{name}: {value}")
        yield line if len(line) <= LINE else f"{line[: LINE - 1]}…"


def _duration(waited: timedelta) -> str:
    seconds = max(waited.total_seconds(), 0)
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
