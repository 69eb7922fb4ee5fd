"""What GitHub removes after a day: jobs that nobody runs, and registrations that nobody uses. By the world's calendar."""

from collections.abc import Callable
from functools import partial

from chaser.simulator.payload import Job
from chaser.simulator.world import Runner, World


class CleanUps:
    def __init__(
        self, world: World, end: Callable[[int, str], None], remove: Callable[[Runner], None]
    ) -> None:
        """`end` is told a job's id and its conclusion."""
        self._world = world
        self._end = end
        self._remove = remove

    def queued(self, job: Job) -> None:
        """https://docs.github.com/en/actions/reference/limits"""
        self._world.calendar.after(self._world.patience.queued, partial(self._never_run, job))

    def left(self, runner: Runner) -> None:
        """It is registered, or has gone offline. https://docs.github.com/en/actions/reference/runners/self-hosted-runners"""
        runner.left = self._world.calendar.now()
        self._world.calendar.after(
            self._world.patience.unused, partial(self._never_used, runner, runner.left)
        )

    def _never_run(self, job: Job) -> None:
        now = self._world.jobs[job.id]
        if (now.status, now.gated) == ("queued", job.gated):
            self._end(job.id, "cancelled")

    def _never_used(self, runner: Runner, left: float) -> None:
        if (runner.status, runner.left) == ("offline", left):
            self._remove(runner)
