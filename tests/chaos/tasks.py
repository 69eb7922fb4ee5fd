"""The jobs that the service is killed under. Of each it is known, to the byte, what must be there afterwards."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random

from tests.acceptance.service import Json

BASE, BASE_LINE = "base", "the base"
"""The workspace of which throwaway copies are made, and what is in it."""
SHARED = ("shared-a", "shared-b")
"""Workspaces that many jobs write to, one at a time and in their order."""
LINES = "lines"
"""The file in each workspace to which the jobs append."""
CONTENT = b"these bytes went in\n" * 5_000
MOST_ATTEMPTS = 20
"""As many as may be asked for: the oldest jobs are under way at every kill."""


@dataclass(frozen=True, slots=True)
class Task:
    """`output` is what each stream must have, `lines` what the job appends to its workspace's file, in order."""

    key: str
    kind: str
    asked: Json
    output: Mapping[str, bytes]
    workspace: str | None = None
    lines: Sequence[str] = ()
    artifacts: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    more: Json = field(default_factory=dict[str, object])

    @property
    def body(self) -> Json:
        patience = {"max_attempts": MOST_ATTEMPTS, "queue_timeout_ms": 3_600_000}
        return {
            "kind": self.kind,
            "input": self.asked,
            "idempotency_key": self.key,
            **patience,
            **self.more,
        }


Sort = Callable[[str, Random], Task]


def base() -> Task:
    command = f"echo {BASE_LINE} >> {LINES}"
    return Task("base", "sandbox.exec", _in(BASE, command), {}, BASE, (BASE_LINE,))


def tasks(random: Random, upload: str | None = None) -> Iterator[Task]:
    """Without end; each of the sorts comes up before any comes up again. With files only where there is an upload."""
    filed: Sequence[Sort] = () if upload is None else (partial(with_files, upload=upload),)
    sorts: Sequence[Sort] = (
        numbered, pipeline, shared, *filed, binary, shared, copy,
        one_long_line, masked, split, pipeline, retried, plain, scheduled,
    )  # fmt: skip
    for number in itertools.count():
        sort = sorts[number % len(sorts)]
        yield sort(f"t{number:03}", random)


# --- the sorts


def numbered(key: str, random: Random) -> Task:
    count = random.randrange(200, 3_000)
    return _noting(key, _counted(key, count), _counting(key, count))


def scheduled(key: str, random: Random) -> Task:
    moment = datetime.now(UTC) + timedelta(seconds=random.uniform(0.5, 3))
    task = numbered(key, random)
    return Task(
        key,
        task.kind,
        task.asked,
        task.output,
        task.workspace,
        task.lines,
        more={"run_at": moment.isoformat()},
    )


def binary(key: str, random: Random) -> Task:
    """Every byte that there is, many times over."""
    times = random.randrange(20, 400)
    escaped = "".join(f"\\{byte:03o}" for byte in range(256))
    command = _repeated(times, f"printf '{escaped}'")
    return _noting(key, command, bytes(range(256)) * times)


def one_long_line(key: str, random: Random) -> Task:
    size = random.randrange(300_000, 2_000_000)
    part = f"head -c {size} /dev/zero | tr '\\0'"
    return _noting(key, f"{part} x; sleep 0.3; {part} y", b"x" * size + b"y" * size)


def masked(key: str, random: Random) -> Task:
    """The secret comes in two pieces, with other output around it: its mask may be cut by a kill anywhere."""
    times = random.randrange(3, 12)
    piece = "printf 'before %.9s' \"$TOKEN\"; sleep 0.1; printf '%s after\\n' \"${TOKEN#?????????}\""
    asked = {"secrets": {"TOKEN": f"very-secret-token-of-{key}"}}
    return _noting(key, _repeated(times, piece), b"before *** after\n" * times, **asked)


def split(key: str, random: Random) -> Task:
    times = random.randrange(50, 500)
    command = _repeated(times, "echo to the one; echo to the other >&2")
    output = {"stdout": b"to the one\n" * times, "stderr": b"to the other\n" * times}
    asked = _in(key, f"{_note(key)}; {command}", streams="split")
    return Task(key, "sandbox.exec", asked, output, key, (key,))


def shared(key: str, random: Random) -> Task:
    """Tells, in the workspace itself, if another is in it at the same time."""
    workspace = random.choice(SHARED)
    command = (
        f"mkdir lock || echo overlap >> {LINES}; {_note(key)}; sleep 0.{random.randrange(1, 4)}; rmdir lock"
    )
    return Task(key, "sandbox.exec", _in(workspace, command), {}, workspace, (key,))


def copy(key: str, random: Random) -> Task:
    command = f"{_note(key)}; sleep 0.{random.randrange(1, 4)}; cat {LINES}"
    asked = _in(BASE, command, workspace_mode="copy")
    return Task(key, "sandbox.exec", asked, {"output": f"{BASE_LINE}\n{key}\n".encode()})


def plain(key: str, random: Random) -> Task:
    count = random.randrange(10, 1_000)
    asked = {"command": _counted(key, count), "ephemeral": True, "isolation": random.choice(_ISOLATIONS)}
    return Task(key, "sandbox.exec", asked, {"output": _counting(key, count)})


def with_files(key: str, random: Random, upload: str) -> Task:
    """An upload goes in, something made of it comes out."""
    asked = {
        "command": f"cat in.txt; tr a-z A-Z < in.txt > {key}.out; sleep 0.2",
        "inputs": [{"upload": upload, "path": "in.txt"}],
        "artifacts": ["*.out", "in.txt"],
        "isolation": random.choice(_ISOLATIONS),
    }
    kept = {f"{key}.out": CONTENT.upper(), "in.txt": CONTENT}
    return Task(key, "sandbox.exec", asked, {"output": CONTENT}, artifacts=kept)


def pipeline(key: str, random: Random) -> Task:
    names = [f"{key}-{step}" for step in range(random.randrange(2, 5))]
    counts = [random.randrange(10, 600) for _ in names]
    steps = [
        {"name": name, "command": f"{_note(name)}; sleep 0.2; {_counted(name, count)}"}
        for name, count in zip(names, counts, strict=True)
    ]
    output = b"".join(_counting(name, count) for name, count in zip(names, counts, strict=True))
    asked = {"workspace": key, "steps": steps}
    return Task(key, "pipeline.run", asked, {"output": output}, key, tuple(names))


def retried(key: str, random: Random) -> Task:
    """Fails at its first run, and has asked to be run again: twice in all, however often the service dies."""
    first, second = f"{key}-first", f"{key}-second"
    command = (
        f"if [ -e tried ]; then {_note(second)}; echo second; "
        f"else touch tried; {_note(first)}; echo first; sleep 0.2; exit 7; fi"
    )
    retry = {"on": ["nonzero_exit"], "max": 1, "backoff_ms": 200, "backoff_max_ms": 500}
    output = {"output": b"first\nsecond\n"}
    return Task(key, "sandbox.exec", _in(key, command), output, key, (first, second), more={"retry": retry})


# --- what they are made of

_ISOLATIONS = ("strict", "standard")
_PAUSES = 4
"""How many times a loop stops for a moment, so that its output comes in several pieces."""


def _in(workspace: str, command: str, **fields: object) -> Json:
    return {"command": command, "workspace": workspace, **fields}


def _noting(key: str, command: str, output: bytes, **fields: object) -> Task:
    """In a workspace of its own, where it leaves its line."""
    asked = _in(key, f"{_note(key)}; {command}", **fields)
    return Task(key, "sandbox.exec", asked, {"output": output}, key, (key,))


def _note(line: str) -> str:
    return f"echo {line} >> {LINES}"


def _repeated(times: int, command: str) -> str:
    pause = max(1, times // _PAUSES)
    return f"i=0; while [ $i -lt {times} ]; do i=$((i+1)); {command}; [ $((i % {pause})) -ne 0 ] || sleep 0.1; done"


def _counted(word: str, count: int) -> str:
    return _repeated(count, f'echo "{word} line $i"')


def _counting(word: str, count: int) -> bytes:
    return b"".join(f"{word} line {number}\n".encode() for number in range(1, count + 1))
