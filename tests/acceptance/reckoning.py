"""What must hold when workflow jobs have come to their ends, asked of all who know: GitHub, the service, and the runners."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.acceptance.github import GitHub
from tests.acceptance.service import Service
from tests.acceptance.waiting import PATIENCE, until

CALLS = 2
"""To GitHub's API, for one workflow job."""

_LASTING = re.compile(
    r"POST /app/installations/\d+/access_tokens|GET /orgs/[\w-]+/actions/runner-groups|GET /(orgs|repos)/[\w/-]+/actions/runners"
)
"""What is asked now and then, and holds for all jobs: each such call once at the most."""
_RUNNING = re.compile(r"^\S+ \S+: Running job: (.*)$", re.MULTILINE)
"""What a runner says when it begins with a job."""


class Reckoning:
    """It begins when it is made, before the jobs are asked for. Each of them has a name of its own."""

    def __init__(self, github: GitHub, service: Service) -> None:
        self._github = github
        self._service = service
        self._calls = len(github.calls)
        self._before = self._runners()

    def settle(
        self, *ran: int, unserved: Sequence[int] = (), calls: int = CALLS
    ) -> Sequence[Mapping[str, Any]]:
        """The jobs that `ran` had one runner each and began once; the others were ended by GitHub without one. For each
        at most so many calls were made, and nothing is left. How GitHub tells of those that ran.
        """
        ended = [self._github.ended(job_id) for job_id in ran]
        for job_id in unserved:
            self._expect_unserved(self._github.ended(job_id))
        expect_nothing_left(self._github, self._service)
        for job in ended:
            self._expect_booked(job)
        assert len({job["runner_name"] for job in ended}) == len(ran), "a runner serves one job"
        self._expect_begun_once(ended)
        self._expect_few_calls(calls * (len(ran) + len(unserved)))
        return ended

    @property
    def logs(self) -> Sequence[str]:
        """Of the runners made since the beginning."""
        return [self._service.output(job).decode() for job in self._runners() if job not in self._before]

    def _runners(self) -> Sequence[str]:
        return [job for (job,) in self._service.rows("SELECT id FROM jobs WHERE kind = 'github.runner'")]

    def _expect_unserved(self, job: Mapping[str, Any]) -> None:
        assert (job["conclusion"], job["runner_name"]) == ("cancelled", None)
        assert self._demand_at_end(job["id"])["state"] == "cancelled"

    def _expect_booked(self, job: Mapping[str, Any]) -> None:
        """The service knows which of its runners had it, whichever that was made for."""
        demand = self._demand_at_end(job["id"])
        told = [job[field] for field in ("runner_name", "conclusion", "run_attempt")]
        assert [demand[field] for field in ("runner_name", "conclusion", "run_attempt")] == told
        assert demand["state"] == "done"
        assert demand["job_id"].removeprefix("job_") in job["runner_name"].split("-")

    def _demand_at_end(self, workflow_job_id: int) -> Mapping[str, Any]:
        """GitHub has ended it, and the delivery that tells of it has been answered."""
        answer = self._service.http.get(f"/v1/github/jobs/{workflow_job_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def _expect_begun_once(self, jobs: Sequence[Mapping[str, Any]]) -> None:
        begun = Counter(name for log in self.logs for name in begun_in(log))
        assert begun == Counter(job["name"] for job in jobs), self.logs

    def _expect_few_calls(self, most: int) -> None:
        called = [call.rpartition("|")[2] for call in self._github.calls[self._calls :]]
        lasting = Counter(call for call in called if _LASTING.fullmatch(call))
        assert all(count == 1 for count in lasting.values()), lasting
        for_jobs = [call for call in called if call not in lasting]
        assert len(for_jobs) <= most, for_jobs


def begun_in(log: str) -> Sequence[str]:
    """The names of the jobs that a runner has begun, by its log."""
    return _RUNNING.findall(log)


def expect_nothing_left(github: GitHub, service: Service, patience: float = PATIENCE) -> None:
    """No registration, container or row of what is under way; and no workflow job whose end is not known."""
    until(lambda: not github.registrations, "no registration to be left", patience)
    until(
        lambda: not service.rows("SELECT id FROM jobs WHERE finished_at IS NULL"),
        "every job here to end",
        patience,
    )
    service.expect_nothing_left()
    until(
        lambda: len(service.rows("SELECT id FROM sandboxes WHERE gone_at IS NULL")) == service.made_ahead,
        "every sandbox to be gone in its row too",
        patience,
    )
    assert not service.rows("SELECT job_id FROM turns")
    assert not service.rows(
        "SELECT workflow_job_id, state FROM demands WHERE state NOT IN ('done', 'cancelled')"
    )
