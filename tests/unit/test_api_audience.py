"""Who waits for which run, and when a run that nobody waits for is cancelled."""

from chaser.api.audience import Audience
from chaser.ids import JobId

JOB = JobId("job_x")


def test_the_last_one_is_alone() -> None:
    audience = Audience()
    with audience.join(JOB):
        assert audience.alone(JOB)
        with audience.join(JOB):
            assert not audience.alone(JOB)
        assert audience.alone(JOB)


def test_jobs_do_not_mix() -> None:
    audience = Audience()
    with audience.join(JobId("job_y")), audience.join(JobId("job_y")), audience.join(JOB):
        assert audience.alone(JOB)
