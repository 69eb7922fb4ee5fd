"""Several who share the slots: nobody waits for all that another has brought, and nobody has more than its cap at once."""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path

import pytest

from tests.acceptance.github import GitHub, fleet
from tests.acceptance.reckoning import Reckoning
from tests.acceptance.service import Service

pytestmark = [pytest.mark.docker, pytest.mark.network_rules]

JOB = {"labels": ["chaser"], "steps": [{"name": "work", "run": "sleep 0.5"}]}
_TIMES = """
    SELECT jobs.lane, jobs.tenant, min(transitions.at), jobs.finished_at FROM jobs
    JOIN transitions ON transitions.job_id = jobs.id AND transitions.to_status = 'starting'
    WHERE jobs.lane IS NOT NULL GROUP BY jobs.id ORDER BY min(transitions.at)
"""
"""When each runner's job had its slot, in the order of their starts."""


def test_whoever_comes_late_is_served_beside_whoever_brought_many(
    small_image: str, github: GitHub, tmp_path: Path
) -> None:
    with fleet(tmp_path, github, {"CHASER_LIMITS__MAX_RUNNING": "1"}) as service:
        reckoning = Reckoning(github, service)
        many = github.run("octo-org/web", *[JOB] * 5)
        few = [*github.run("octo-org/app", *[JOB] * 2), *github.run("hubbers/site", JOB)]
        reckoning.settle(*many, *few)
        lanes = [lane.rpartition("/")[2] for lane, *_ in service.rows(_TIMES)]
    assert sorted(lanes[:6]) == ["app", "app", "site", "web", "web", "web"]
    assert lanes[6:] == ["web", "web"]


def test_no_repository_and_no_installation_has_more_runners_at_once_than_its_cap(
    small_image: str, github: GitHub, tmp_path: Path
) -> None:
    caps = {
        "CHASER_LIMITS__MAX_RUNNING": "8",
        "CHASER_GITHUB__MAX_RUNNING_PER_REPOSITORY": "2",
        "CHASER_GITHUB__MAX_RUNNING_PER_INSTALLATION": "3",
    }
    with fleet(tmp_path, github, caps) as service:
        reckoning = Reckoning(github, service)
        asked = [
            job
            for repository in ("octo-org/web", "octo-org/app", "hubbers/site")
            for job in github.run(repository, *[JOB] * 4)
        ]
        reckoning.settle(*asked)
        assert _most(service, lane=True) == {
            "github/octo-org/web": 2,
            "github/octo-org/app": 2,
            "github/hubbers/site": 2,
        }
        assert sorted(_most(service, lane=False).values()) == [2, 3]


def _most(service: Service, *, lane: bool) -> dict[str, int]:
    """How many of each had slots at the same time."""
    times: dict[str, list[tuple[int, int]]] = {}
    for its_lane, tenant, begun, ended in service.rows(_TIMES):
        times.setdefault(its_lane if lane else tenant, []).append((begun, ended))
    return {name: _at_once(spans) for name, spans in times.items()}


def _at_once(spans: Iterable[tuple[int, int]]) -> int:
    steps: Sequence[tuple[int, int]] = sorted(
        step for begun, ended in spans for step in ((begun, 1), (ended, -1))
    )
    return max(accumulate(step for _, step in steps))
