"""What the demo does with commands: three of them and a pipeline twice, and what each of them should come to."""

import time
from dataclasses import dataclass

from chaser.cli import document
from chaser.cli.demo_children import Stage
from chaser.cli.failure import Failure
from chaser.cli.http import Document


@dataclass(frozen=True, slots=True)
class Command:
    title: str
    words: tuple[str, ...]
    exit_status: int
    reason: str | None


COMMANDS = (
    Command("a success", ("echo hello from a container of its own; uname -sr",), 0, None),
    Command("a failure", ("echo 'config.yml: no such file' >&2; exit 3",), 3, "nonzero_exit"),
    Command("a timeout", ("--timeout", "2s", "echo working; sleep 300"), 124, "run_timeout"),
)


@dataclass(frozen=True, slots=True)
class Act:
    """What came of one part. `as_expected` decides about the whole demo."""

    title: str
    what: str
    outcome: str
    took_ms: int
    output: str
    as_expected: bool
    document: Document


def run_command(stage: Stage, command: Command) -> Act:
    """Through the program, as a person or a script would."""
    begun = time.monotonic()
    ended = stage.program("chaser", "exec", "--json", *command.words)
    took = round((time.monotonic() - begun) * 1000)
    result = document.parse(ended.stdout)
    if "id" not in result:
        raise Failure("demo_failed", f"{command.title}: {ended.stderr.strip()}", 1)
    good = ended.returncode == command.exit_status and result.get("reason") == command.reason
    reason = f", {result['reason']}" if result.get("reason") else ""
    return Act(
        title=command.title,
        what=command.words[-1],
        outcome=f"{result.get('status')}{reason}, exit status {ended.returncode}",
        took_ms=took,
        output=str(result.get("output") or ""),
        as_expected=good,
        document=result,
    )


_PIPELINE = """\
workspace: demo
steps:
  - name: look around
    command: cat found.txt 2>/dev/null || echo nothing is here yet
  - name: leave something
    command: echo the first run was here > found.txt
"""


def run_pipeline_twice(stage: Stage) -> list[Act]:
    """In a workspace, so that the second run finds the files of the first."""
    return [
        _run_pipeline(stage, "a pipeline", "nothing is here yet\n"),
        _run_pipeline(stage, "the pipeline again", "the first run was here\n"),
    ]


def _run_pipeline(stage: Stage, title: str, expected: str) -> Act:
    begun = time.monotonic()
    ended = stage.program("chaser", "jobs", "run", "--wait", "--json", "-", stdin=_PIPELINE)
    took = round((time.monotonic() - begun) * 1000)
    job = document.parse(ended.stdout)
    if "id" not in job:
        raise Failure("demo_failed", f"{title}: {ended.stderr.strip()}", 1)
    steps = [document.table(step) for step in document.items(document.table(job.get("result")).get("steps"))]
    found = [str(step.get("output") or "") for step in steps]
    return Act(
        title=title,
        what="two steps in the workspace demo",
        outcome=f"{job.get('status')}, exit status {ended.returncode}",
        took_ms=took,
        output="".join(found),
        as_expected=ended.returncode == 0 and found == [expected, ""],
        document=job,
    )
