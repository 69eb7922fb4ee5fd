"""Carrying out `chaser demo`: prepare, play, show what came back."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict

from chaser import app
from chaser.cli import document, output
from chaser.cli.demo_acts import COMMANDS, Act, run_command, run_pipeline_twice
from chaser.cli.demo_children import Stage, stage
from chaser.cli.demo_workflow import run_workflow_job
from chaser.cli.failure import Failure
from chaser.cli.service import local_settings
from chaser.profiles import DEFAULT_IMAGE

_SMALL_IMAGE = "chaser-small:latest"
_RUNNER_IMAGE = "chaser-runner-simulated:latest"
_SHOWN_LINES = 12


def show(*, json: bool) -> bool:
    """Whether all came out as it should."""
    image = _image()
    output.note(f"Starting a service and a simulated GitHub; the sandboxes are of {image}.")
    begun = time.monotonic()
    with stage(image, _RUNNER_IMAGE) as ready:
        output.note(f"Both are up after {time.monotonic() - begun:.1f} s, at {ready.service.url}.")
        acts = _play(ready)
    good = all(act.as_expected for act in acts)
    if json:
        output.document({"ok": good, "acts": [asdict(act) for act in acts]})
    else:
        _tell(acts)
    output.note("All came out as it should." if good else "Not all came out as it should.")
    return good


def _play(ready: Stage) -> Sequence[Act]:
    workflow_job = run_workflow_job(ready)
    commands = [run_command(ready, command) for command in COMMANDS]
    return [workflow_job, *commands, *run_pipeline_twice(ready)]


def _image() -> str:
    """The default image if it is built, else the small one, which is there sooner."""
    wanted = (DEFAULT_IMAGE, _SMALL_IMAGE, _RUNNER_IMAGE)
    present = asyncio.run(app.images_present(local_settings(), wanted))
    if _RUNNER_IMAGE not in present or not present & {DEFAULT_IMAGE, _SMALL_IMAGE}:
        missing = ", ".join(sorted(set(wanted[1:]) - present))
        raise Failure("no_image", f"These images are missing: {missing}. Build them in a clone: make demo", 1)
    if DEFAULT_IMAGE in present:
        return DEFAULT_IMAGE
    output.note(
        f"{DEFAULT_IMAGE} is not built yet, so this uses the small image, which has busybox and no more."
    )
    return _SMALL_IMAGE


def _tell(acts: Sequence[Act]) -> None:
    rows = [
        (
            output.Cell("ok" if act.as_expected else "WRONG", "green" if act.as_expected else "red"),
            act.title,
            act.what,
            act.outcome,
            f"{act.took_ms / 1000:.2f} s",
            _measured(act, "total_ms"),
            _measured(act, "run_ms"),
        )
        for act in acts
    ]
    output.table(("", "what", "command", "came back", "took", "in the service", "the command itself"), rows)
    for act in acts:
        output.line(f"\n{act.title}: job {act.document.get('id')}, sandbox {act.document.get('session_id')}")
        for each in act.output.splitlines()[-_SHOWN_LINES:]:
            output.line(f"  | {output.printable(each)}")


def _measured(act: Act, name: str) -> str:
    """As the service measured it; the rest is the client program's own start."""
    told = document.table(act.document.get("result")) or act.document
    spent = document.table(told.get("timings")).get(name)
    return f"{spent / 1000:.2f} s" if isinstance(spent, int) else ""
