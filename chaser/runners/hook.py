"""The job-started hook: a script in the sandbox that asks whether the job that GitHub gave this runner may run here. Pure.

GitHub gives a runner any waiting job that its labels fit, also one for which no runner would have been made. So the runner
program is told of a script of root's that it runs before the job's first step, in an environment that the job has no say in
(https://github.com/actions/runner/blob/main/docs/adrs/1751-runner-job-hooks.md). The job that the runner was made for passes
at once; of any other the script asks, by a line on the sandbox's output, and waits for an answer in a file of root's.

A hook that fails does not keep those steps from running that always run (https://github.com/actions/runner/issues/2811). So
whoever is turned away has the worker ended, the process that runs steps: GitHub is told by the listener at once that the job
has failed, and shows the worker's last words.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from chaser.runners.plain import plain
from chaser.sandboxes.spec import RootFile

DIRECTORY: Final = "/chaser"
NAME: Final = "job-started.sh"
"""The runner goes by the ending."""
PATH: Final = f"{DIRECTORY}/{NAME}"
ANSWERS: Final = f"{DIRECTORY}/answers"
VARIABLE: Final = "ACTIONS_RUNNER_HOOK_JOB_STARTED"

PATIENCE: Final = 120
"""Seconds for which the script waits for an answer."""
AGAIN: Final = 10
"""Seconds after which it asks once more: the service may have been started anew meanwhile."""
_RUN: Final = "run"
_END: Final = "end"

_QUESTION: Final = re.compile(
    rb"^chaser-hook (?P<run>[0-9]{1,19}) (?P<attempt>[0-9]{1,9}) (?P<event>[A-Za-z0-9_.-]{1,60})$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Made:
    """What a runner was made for."""

    repository: str
    run_id: int
    refusal: str | None = None
    """Why this very job is turned away; none: it may run."""


@dataclass(frozen=True, slots=True)
class Question:
    """Which job the runner has been given: what the hook says, whom no job can make say anything else."""

    run_id: int
    attempt: int
    event: str


def script(made: Made) -> RootFile:
    own = f"turn_away {shlex.quote(_sentence(made.refusal))}" if made.refusal else "exit 0"
    text = _SCRIPT.format(
        patience=PATIENCE * 5,
        again=AGAIN * 5,
        run=made.run_id,
        repository=shlex.quote(made.repository),
        own=own,
        answers=ANSWERS,
        may_run=_RUN,
        end=_END,
    )
    return RootFile(DIRECTORY, NAME, text.encode())


def guarding(command: str) -> str:
    """The runner's command, but not where the image names a hook of its own, which the runner would take instead of ours."""
    mine = f"grep -qs '^{VARIABLE}=' /home/runner/.env"
    complaint = (
        f"chaser: the image's /home/runner/.env sets {VARIABLE}; take it out, so that jobs can be checked"
    )
    return f"if {mine}; then echo {shlex.quote(complaint)} >&2; exit 1; fi\n{command}"


def questions(said: bytes) -> Sequence[Question]:
    """In what a sandbox has printed. More than the hook can print such a line: it is answered, and nobody waits for it."""
    return [
        Question(int(found["run"]), int(found["attempt"]), found["event"].decode())
        for found in _QUESTION.finditer(said)
    ]


def answer(question: Question, refusal: str | None) -> RootFile:
    """`refusal` of none: it may run."""
    line = _RUN if refusal is None else _sentence(refusal)
    name = f"{question.run_id}-{question.attempt}"
    return RootFile(ANSWERS, name, f"{line}\n{_END}".encode())


def _sentence(refusal: str) -> str:
    """Never what may run is called, and no command to the runner, whatever is quoted in it."""
    return f"Chaser: this job is not run here. {plain(refusal)}"


_SCRIPT = r"""# Whether the job that GitHub has given this runner may run here. Made by Chaser; only root can change it.

turn_away() {{
    printf '%s\n' "$1"
    worker=$PPID at=$PPID
    while [ "${{at:-0}}" -gt 1 ]; do
        if [ "$(cat "/proc/$at/comm" 2>/dev/null)" = Runner.Worker ]; then worker=$at; break; fi
        at=$(sed -n 's/^PPid:[^0-9]*//p' "/proc/$at/status" 2>/dev/null) || at=0
    done
    {{ printf '%s\n' "$1" >"/proc/$worker/fd/2"; }} 2>/dev/null || :
    sleep 2
    kill -KILL "$worker" || kill -KILL -1
    sleep 30
    kill -KILL -1
    exit 1
}}

run=${{GITHUB_RUN_ID:-}} attempt=${{GITHUB_RUN_ATTEMPT:-}} event=${{GITHUB_EVENT_NAME:-}}
for number in "$run" "$attempt"; do
    case $number in
    '' | *[!0-9]*) turn_away 'Chaser: this job does not say which run it is of.' ;;
    esac
done
if [ "$run" = {run} ] && [ "${{GITHUB_REPOSITORY:-}}" = {repository} ]; then
    {own}
fi
waited=0
until said=$(cat "{answers}/$run-$attempt" 2>/dev/null) && [ "${{said##*
}}" = {end} ]; do
    if [ $((waited % {again})) = 0 ]; then
        printf '\nchaser-hook %s %s %s\n' "$run" "$attempt" "$event" >/proc/1/fd/1 || :
    fi
    waited=$((waited + 1))
    if [ "$waited" -gt {patience} ]; then
        turn_away 'Chaser: this job is not run here. Nobody has said whether it may have this runner; re-run it.'
    fi
    sleep 0.2 2>/dev/null || sleep 1
done
case $said in
'{may_run}
{end}') exit 0 ;;
esac
turn_away "${{said%
*}}"
"""
