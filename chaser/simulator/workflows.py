"""The life of workflow jobs: queued, waiting for an approval, assigned, running, completed; and what runners do to it.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-cancellation
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from chaser.simulator.assignment import pairs
from chaser.simulator.clean_ups import CleanUps
from chaser.simulator.origin import Origin
from chaser.simulator.payload import Job, Step, workflow_job
from chaser.simulator.post import Post
from chaser.simulator.world import Runner, World


@dataclass(frozen=True, slots=True)
class Plan:
    """A job as a workflow file asks for it. `environment`: one that somebody must approve."""

    labels: tuple[str, ...]
    name: str = "build"
    steps: tuple[Step, ...] = (Step("Say hello", 'echo "Hello from $RUNNER_NAME"'),)
    environment: str | None = None


class Workflows:
    def __init__(self, world: World, post: Post) -> None:
        self._world = world
        self._post = post
        self._clean_ups = CleanUps(world, self._over, self.remove)

    # What people do.

    def start(self, repository: str, plans: Sequence[Plan], origin: Origin | None = None) -> list[Job]:
        """A run of a workflow with these jobs, all at once, as of a matrix."""
        run_id = secrets.randbelow(1 << 40) + 1
        origin = self._world.origins[run_id] = origin or Origin()
        owner = repository.partition("/")[0]
        jobs = [
            Job(
                plan.labels,
                repository,
                owner if self._world.kind(owner) == "Organization" else None,
                run_id=run_id,
                name=plan.name,
                private=repository.lower() not in self._world.public,
                branch=origin.branch,
                event=origin.event,
                environment=plan.environment,
                steps=plan.steps,
                blank=self._world.blank,
            )
            for plan in plans
        ]
        self._begin(jobs)
        return jobs

    def approve(self, run_id: int) -> None:
        for job in self.of_run(run_id):
            if job.status == "waiting":
                again = replace(job, status="queued", gated=datetime.now(UTC))
                self._tell("queued", again)
                self._clean_ups.queued(again)
        self._assign()

    def cancel(self, run_id: int, *, force: bool = False) -> None:
        """A job that runs is told to its runner, which has some minutes to end it."""
        for job in self.of_run(run_id):
            if job.status in {"queued", "waiting"} or (force and job.status == "in_progress"):
                self._complete(job, "cancelled")
            elif job.status == "in_progress":
                self._put(replace(job, cancelling=True))
                self._ring(job)
                asyncio.get_running_loop().call_later(
                    self._world.patience.cancel, self._over, job.id, "cancelled"
                )

    def rerun(self, run_id: int, *, only_failed: bool = False) -> list[Job]:
        """New jobs with new ids, and the number of the attempt one higher."""
        before = self.current(run_id)
        attempt = max((job.attempt for job in before), default=0) + 1
        chosen = [job for job in before if not only_failed or job.conclusion not in {"success", "skipped"}]
        jobs = [_once_more(job, attempt) for job in chosen]
        self._begin(jobs)
        return jobs

    def of_run(self, run_id: int) -> list[Job]:
        return [job for job in self._world.jobs.values() if job.run_id == run_id]

    def latest(self, run_id: int) -> list[Job]:
        """The jobs of the run's last attempt."""
        jobs = self.of_run(run_id)
        newest = max((job.attempt for job in jobs), default=1)
        return [job for job in jobs if job.attempt == newest]

    def current(self, run_id: int) -> list[Job]:
        """Each job as it was run last: one that was not run again is still that of an earlier attempt."""
        jobs = self.of_run(run_id)
        repeated = {job.again_of for job in jobs}
        return [job for job in jobs if job.id not in repeated]

    # What runners do.

    def registered(self, runner: Runner) -> None:
        self._clean_ups.left(runner)

    def online(self, runner: Runner) -> None:
        if runner.mute:
            return
        runner.status = "online"
        self._heard(runner)
        self._assign()

    def offline(self, runner: Runner) -> None:
        """It takes no more jobs. One that it was assigned waits again."""
        runner.status = "offline"
        self._clean_ups.left(runner)
        self._withdraw(runner)
        self._assign()

    async def message(self, runner: Runner) -> Job | None:
        """What there is to tell the runner: its job, or (of a job that it runs) that it is cancelled. None: nothing."""
        if runner.status == "offline":
            self.online(runner)
        if (told := self.news(runner)) is None:
            runner.bell.clear()
            self._heard(runner)
            try:
                async with asyncio.timeout(self._poll_seconds(runner)):
                    await runner.bell.wait()
            except TimeoutError:
                pass
            told = self.news(runner)
        self._heard(runner)
        return told

    def news(self, runner: Runner) -> Job | None:
        """What there is to tell it now."""
        if runner.offer is not None:
            return self._take(runner, runner.offer)
        job = self._running(runner)
        return job if job is not None and job.cancelling else None

    def likely(self, runner: Runner) -> Job | None:
        """The job that it would be given, were it there now."""
        group = self._world.group_of(runner)
        waiting = [job for job in self._world.jobs.values() if job.status == "queued"]
        made = pairs(waiting, [(runner, group)], newest_first=self._world.newest_first)
        return made[0][0] if made else None

    def report(self, runner: Runner, place: int, conclusion: str) -> None:
        """Of one step, the first of which is number 1."""
        job = self._running(runner)
        if job is not None and 1 <= place <= len(job.steps):
            steps = list(job.steps)
            steps[place - 1] = replace(steps[place - 1], conclusion=conclusion)
            self._put(replace(job, steps=tuple(steps)))

    def finish(self, runner: Runner, conclusion: str) -> None:
        """The job has ended, and with it the registration: these runners serve one job."""
        job = self._running(runner)
        if job is not None:
            self._complete(job, conclusion)

    def remove(self, runner: Runner) -> None:
        self._quiet(runner)
        self._world.runners.pop(runner.id, None)
        runner.bell.set()

    def forget(self, runner: Runner) -> None:
        """The registration is gone, and the runner listens on: https://github.com/actions/runner/issues/4617"""
        self._withdraw(runner)
        self._quiet(runner)
        self._world.forgotten[runner.id] = self._world.runners.pop(runner.id)
        self._assign()

    def mute(self, runner: Runner) -> None:
        runner.mute = True
        self.offline(runner)

    def close(self) -> None:
        """Answer every runner that waits for a message."""
        for runner in self._world.runners.values():
            self._quiet(runner)
            runner.bell.set()
        self._world.calendar.close()

    # How it goes on from there.

    def _begin(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._tell("queued", job)
            if job.environment is not None:
                self._tell("waiting", replace(job, status="waiting", gated=datetime.now(UTC)))
            else:
                self._clean_ups.queued(job)
        self._assign()

    def _assign(self) -> None:
        waiting = [job for job in self._world.jobs.values() if job.status == "queued"]
        assigned = {runner.offer for runner in self._world.runners.values()}
        idle = [
            (runner, self._world.group_of(runner))
            for runner in self._world.runners.values()
            if runner.status == "online" and not runner.busy
        ]
        free = [job for job in waiting if job.id not in assigned]
        for job, runner in pairs(free, idle, newest_first=self._world.newest_first):
            runner.offer, runner.busy = job.id, True
            self._after(runner, self._world.patience.pick_up, self._not_picked_up)
            runner.bell.set()

    def _take(self, runner: Runner, job_id: int) -> Job:
        group = self._world.group_of(runner)
        runner.offer, runner.job = None, job_id
        taken = replace(
            self._world.jobs[job_id],
            status="in_progress",
            started=datetime.now(UTC),
            runner_id=runner.id,
            runner_name=runner.name,
            runner_group=(group.id, group.name),
        )
        self._tell("in_progress", taken)
        return taken

    def _running(self, runner: Runner) -> Job | None:
        return None if runner.job is None else self._world.jobs.get(runner.job)

    def _complete(self, job: Job, conclusion: str) -> None:
        if job.status == "completed":
            return
        for runner in [one for one in self._world.runners.values() if job.id in {one.job, one.offer}]:
            if runner.job == job.id:
                self.remove(runner)
            else:
                self._withdraw(runner)
        self._tell(
            "completed", replace(job, status="completed", conclusion=conclusion, ended=datetime.now(UTC))
        )
        self._assign()

    def _withdraw(self, runner: Runner) -> None:
        if runner.offer is not None:
            runner.offer, runner.busy = None, False

    def _over(self, job_id: int, conclusion: str) -> None:
        self._complete(self._world.jobs[job_id], conclusion)

    def _poll_seconds(self, runner: Runner) -> float:
        """A runner that asks is heard of in time, however short the patience is."""
        limit = self._world.patience.session if runner.job is None else self._world.patience.lease
        return min(self._world.patience.poll, limit / 2)

    def _heard(self, runner: Runner) -> None:
        """Wait for the next sign of life."""
        if runner.job is None:
            self._after(runner, self._world.patience.session, self.offline)
        else:
            self._after(runner, self._world.patience.lease, self._lost)

    def _not_picked_up(self, runner: Runner) -> None:
        """The job waits again, and the registration, good for one job, is gone: https://github.com/actions/runner/issues/4617"""
        self.remove(runner)
        self._assign()

    def _lost(self, runner: Runner) -> None:
        """Lost communication with the server: what GitHub says some ten minutes after a runner was killed."""
        self.finish(runner, "failure")

    def _after(self, runner: Runner, seconds: float, act: Callable[[Runner], None]) -> None:
        self._quiet(runner)
        if runner.id in self._world.runners:
            runner.timer = asyncio.get_running_loop().call_later(seconds, act, runner)

    def _quiet(self, runner: Runner) -> None:
        if runner.timer is not None:
            runner.timer.cancel()
            runner.timer = None

    def _ring(self, job: Job) -> None:
        for runner in self._world.runners.values():
            if runner.job == job.id:
                runner.bell.set()

    def _put(self, job: Job) -> None:
        self._world.jobs[job.id] = job

    def _tell(self, action: str, job: Job) -> None:
        """Whoever has the App by now is told, unless it is suspended."""
        self._put(job)
        found = self._world.installation_of(job.repository)
        if found is not None and not found.suspended:
            self._post.send("workflow_job", workflow_job(action, replace(job, installation_id=found.id)))


def _once_more(job: Job, attempt: int) -> Job:
    return Job(
        job.labels,
        job.repository,
        job.organization,
        run_id=job.run_id,
        name=job.name,
        private=job.private,
        attempt=attempt,
        branch=job.branch,
        event=job.event,
        environment=job.environment,
        again_of=job.id,
        blank=job.blank,
        steps=tuple(replace(step, conclusion=None) for step in job.steps),
    )
