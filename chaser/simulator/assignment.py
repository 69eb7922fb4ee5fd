"""Which idle runner gets which job. No I/O.

https://docs.github.com/en/actions/reference/runners/self-hosted-runners#routing-precedence-for-self-hosted-runners
"""

from collections.abc import Iterable, Sequence

from chaser.simulator.payload import Job
from chaser.simulator.world import Group, Runner


def fits(job: Job, runner: Runner, group: Group) -> bool:
    """Every label of the job, whatever its case, is a label of the runner; and the runner may serve the repository."""
    wanted = {label.lower() for label in job.labels}
    return wanted <= set(runner.labels) and _serves(runner, group, job)


def _serves(runner: Runner, group: Group, job: Job) -> bool:
    level, _, owner = runner.scope.lower().partition("/")
    repository = job.repository.lower()
    if level == "repos":
        return owner == repository
    named = group.repositories is None or repository in {one.lower() for one in group.repositories}
    return owner == repository.partition("/")[0] and named and (job.private or group.public)


def pairs(
    jobs: Iterable[Job], runners: Iterable[tuple[Runner, Group]], *, newest_first: bool = False
) -> Sequence[tuple[Job, Runner]]:
    """Each job that waits, with the first runner that fits: the repository's own before the organization's.

    A runner is not bound to the job that it was made for, so two of the same labels often get each other's.
    """
    free = sorted(runners, key=lambda each: (each[0].scope.startswith("orgs/"), each[0].id))
    made: list[tuple[Job, Runner]] = []
    for job in sorted(jobs, key=lambda job: job.at, reverse=newest_first):
        found = next((each for each in free if fits(job, *each)), None)
        if found is not None:
            free.remove(found)
            made.append((job, found[0]))
    return made
