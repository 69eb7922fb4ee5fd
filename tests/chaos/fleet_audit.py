"""What must hold when a siege of the fleet is over, asked of GitHub, of the service, and of the runners' own logs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.acceptance.reckoning import begun_in, expect_nothing_left
from tests.acceptance.waiting import until
from tests.chaos.fleet import Fleet, say

CALM_SECONDS = 120
"""For the last ends to be heard of, and the last leftovers to be found and removed."""

_LOST = frozenset({"host_lost", "runner_killed"})
"""What may be said of a runner whose engine has ended: that it was lost, or how it died of it."""

Jobs = Sequence[Mapping[str, Any]]


def expect_all_served_once(fleet: Fleet) -> None:
    jobs = fleet.github.state["jobs"]
    assert sorted(job["id"] for job in jobs) == sorted(fleet.asked)
    _expect_a_runner_each(fleet, jobs)
    _expect_known(fleet, jobs)
    expect_nothing_left(fleet.github, fleet.service, CALM_SECONDS)
    _expect_lost_only_where_struck(fleet)
    _expect_begun_once(fleet, jobs)
    log = fleet.service.log
    assert "Traceback" not in log, log[log.index("Traceback") :][:4000]
    assert '"level": "error"' not in log


def expect_bad_weather(fleet: Fleet) -> None:
    """It has come, of each kind, and the limit was met: else it was no siege."""
    state = fleet.github.state
    say(f"weather: {state['weather']}, limits met: {state['limit_hits']}")
    assert set(state["weather"]) >= {"lost", "doubled", "reordered"}
    assert set(state["weather"]) & {"refused", "unheard"}
    assert state["limit_hits"]["primary"] > 0


def _expect_a_runner_each(fleet: Fleet, jobs: Jobs) -> None:
    """Each has ended, on a runner of its own, and well unless that was struck."""
    assert {job["status"] for job in jobs} == {"completed"}
    on = Counter(job["runner_name"] for job in jobs)
    assert None not in on, "each was begun"
    assert set(on.values()) == {1}, "a runner serves one job"
    assert not [job for job in jobs if job["conclusion"] != "success" and _runner_of(job) not in fleet.struck]


def _expect_known(fleet: Fleet, jobs: Jobs) -> None:
    """The service comes to know of each what GitHub knows."""
    wanted = {(job["id"], "done", job["conclusion"], job["runner_name"]) for job in jobs}

    def known() -> bool:
        rows = fleet.service.rows("SELECT workflow_job_id, state, conclusion, runner_name FROM demands")
        return set(rows) == wanted

    until(known, "the service to know how each has ended", CALM_SECONDS)


def _expect_lost_only_where_struck(fleet: Fleet) -> None:
    lost = {each.job_id for each in fleet.runners() if each.reason in _LOST}
    assert lost <= fleet.struck
    say(f"lost: {len(lost)} of {len(fleet.struck)} that were struck")


def _expect_begun_once(fleet: Fleet, jobs: Jobs) -> None:
    """By the runners' own word. The last that those have said that were struck may be lost."""
    logs = {each.job_id: fleet.service.output(each.job_id).decode() for each in fleet.runners()}
    begun = Counter(name for log in logs.values() for name in begun_in(log))
    for job in jobs:
        times, runner = begun.pop(job["name"], 0), _runner_of(job)
        told = f"{job['name']} was begun {times} times; {runner} has said:\n{logs[runner]}"
        assert times == 1 or (times == 0 and runner in fleet.struck), told
    assert not begun


def _runner_of(job: Mapping[str, Any]) -> str:
    """The service's job for the runner that had it."""
    return f"job_{job['runner_name'].split('-')[-2]}"
