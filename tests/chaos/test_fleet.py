"""Workflow jobs of three installations, while deliveries are lost, doubled and reordered, calls to GitHub fail, and the service,
its engine and its rate limit are struck: each is begun once and ends, and nothing is left of any of it.

`CHASER_CHAOS_SEED` repeats the jobs, the weather and the strikes of a run.
"""

import time
from pathlib import Path
from random import Random

import pytest

from tests.chaos.fleet import fleet
from tests.chaos.fleet_audit import expect_all_served_once, expect_bad_weather
from tests.chaos.form import LONG

pytestmark = [pytest.mark.docker, pytest.mark.network_rules, pytest.mark.slow, pytest.mark.timeout(1800)]

JOBS, LONG_JOBS = 24, 300
STRIKES = ("kill", "cut the engine's power", "use up the limit")
LONG_STRIKES = (*STRIKES, "kill", "kill", "stop the engine", "kill the engine")
MOST_SECONDS, LONG_MOST_SECONDS = 90, 600
"""From the first job to the last leftover."""


@pytest.mark.parametrize("intake", ["webhook", pytest.param("deliveries", marks=LONG)])
def test_every_workflow_job_is_begun_once_and_ends_and_nothing_is_left(
    tmp_path: Path, random: Random, intake: str, long: bool
) -> None:
    with fleet(tmp_path, random, {"CHASER_GITHUB__INTAKE": intake}) as under:
        begun = time.monotonic()
        under.hold(LONG_JOBS if long else JOBS, LONG_STRIKES if long else STRIKES)
        expect_all_served_once(under)
        expect_bad_weather(under)
        assert time.monotonic() - begun < (LONG_MOST_SECONDS if long else MOST_SECONDS)
