"""Runners that cannot reach the simulator, known by what they say in their logs, which somebody else reads and passes on.

https://github.com/actions/runner/blob/main/src/Runner.Listener/JobDispatcher.cs
"""

import re

from chaser.simulator.workflows import Workflows
from chaser.simulator.world import Runner, World

_SAID = re.compile(
    r"(?P<listens>: Listening for Jobs)|(?P<takes>: Running job: )"
    r"|: Job .+ completed with result: (?P<result>Succeeded|Failed|Canceled)"
)
_CONCLUSIONS = {"Succeeded": "success", "Failed": "failure", "Canceled": "cancelled"}


class Hearsay:
    def __init__(self, world: World, workflows: Workflows) -> None:
        self._world = world
        self._workflows = workflows

    def hear(self, name: str, line: str) -> bool:
        """Whether there is such a runner; what it says counts as if it had told the simulator."""
        runner = next((one for one in self._world.runners.values() if one.name == name), None)
        said = _SAID.search(line)
        if runner is not None and said is not None:
            self._act(runner, said)
        return runner is not None

    def _act(self, runner: Runner, said: re.Match[str]) -> None:
        if said["listens"]:
            self._workflows.online(runner)
        elif said["takes"]:
            self._workflows.news(runner)
        else:
            self._end(runner, _CONCLUSIONS[said["result"]])

    def _end(self, runner: Runner, conclusion: str) -> None:
        job = None if runner.job is None else self._world.jobs.get(runner.job)
        if job is not None and conclusion == "success":
            for place in range(1, len(job.steps) + 1):
                self._workflows.report(runner, place, conclusion)
        self._workflows.finish(runner, conclusion)
