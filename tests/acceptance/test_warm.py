"""Sandboxes that are ready before they are asked for: commands and runners on them, and their end with the service."""

import json
import re
import time
from collections.abc import Generator, Mapping, Sequence

import pytest

from tests.acceptance.github import GitHub, fleet
from tests.acceptance.machine import INSTANCE, Docker
from tests.acceptance.reckoning import Reckoning
from tests.acceptance.service import Service, installation, marker
from tests.acceptance.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.network_rules]

SANDBOX = "chaser.sandbox"
KEPT = {"CHASER_PROFILES__DEFAULT__MIN_WARM": "2", "CHASER_PROFILES__DEFAULT__RUNNER_MIN_WARM": "1"}
NEVER_HANDED_ANYTHING = 121
SOON = 10.0
"""Seconds after a start within which what was left behind is gone."""


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return KEPT


@pytest.fixture(scope="module")
def shared_service(
    small_image: str, github: GitHub, settings: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Generator[Service]:
    with fleet(tmp_path_factory.mktemp("service"), github, settings) as service:
        yield service


@pytest.fixture
def full(service: Service) -> Service:
    """The service, when all that it is to keep ready is."""
    until(lambda: ready(service) == service.made_ahead, "all to be ready")
    return service


def measured(service: Service, name: str) -> float:
    """The sum over all labels."""
    text = service.http.get("/metrics").text
    return sum(float(value) for value in re.findall(rf"^{name}\{{.*\}} (\S+)$", text, re.MULTILINE))


def ready(service: Service) -> float:
    return measured(service, "chaser_warm_ready")


def sandboxes(service: Service) -> Mapping[str, str]:
    """Its containers, by the ids of the sandboxes that they are."""
    which = ("--all", "--no-trunc", "--filter", f"label={INSTANCE}={service.instance}")
    listed = service.docker("ps", *which, "--format", '{{.Label "' + SANDBOX + '"}} {{.ID}}')
    return dict(line.split() for line in listed.splitlines())


def test_an_idle_service_keeps_exactly_so_many(github: GitHub, full: Service) -> None:
    """And GitHub knows of none of them."""
    kept = sandboxes(full)
    with full.docker.lives(full.instance) as lives:
        for _ in range(12):
            assert sandboxes(full) == kept
            assert ready(full) == full.made_ahead == 3
            time.sleep(1)
    assert lives == []
    assert github.state["runners"] == []


def test_a_command_runs_on_one_and_another_takes_its_place(full: Service) -> None:
    kept, hits = sandboxes(full), measured(full, "chaser_warm_hits_total")
    answer = full.run("echo here; echo there >&2; exit 3")
    assert (answer["exit_code"], answer["output"]) == (3, "here\nthere\n")
    assert answer["timings"]["warm"] is True
    assert answer["session_id"] in kept
    assert measured(full, "chaser_warm_hits_total") == hits + 1
    until(lambda: answer["session_id"] not in sandboxes(full), "the used one to go")
    until(lambda: ready(full) == full.made_ahead, "another to be ready")


def test_no_two_commands_have_the_same(full: Service) -> None:
    answers = [full.run("echo $$ >>/tmp/trace; wc -l </tmp/trace") for _ in range(6)]
    assert [answer["output"].strip() for answer in answers] == ["1"] * 6
    assert len({answer["session_id"] for answer in answers}) == 6


def test_nothing_of_the_request_shows_in_what_the_engine_tells_of_it(full: Service) -> None:
    word = marker()
    job = full.begin("echo $TOKEN >/dev/null; sleep 300", secrets={"TOKEN": word}, env={"PLACE": word})
    row = full.job(job)
    container = sandboxes(full)[row["session_id"]]
    assert word not in json.dumps(full.docker.inspect(container))
    assert full.cancel(job)["result"]["timings"]["warm"] is True


def test_a_command_with_sizes_of_its_own_is_prepared_for_it(full: Service) -> None:
    kept = sandboxes(full)
    answer = full.run("true", limits={"memory": "128m"})
    assert answer["timings"]["warm"] is False
    assert answer["session_id"] not in kept
    assert kept.keys() <= sandboxes(full).keys()


def test_a_pipeline_runs_on_one(full: Service) -> None:
    steps = [{"command": "echo one >/tmp/kept"}, {"command": "cat /tmp/kept"}]
    job = full.ended(full.queue("pipeline.run", {"steps": steps}))
    assert job["status"] == "succeeded"
    assert job["result"]["timings"]["warm"] is True
    assert [step["output"] for step in job["result"]["steps"]] == ["", "one\n"]


def test_a_workflow_job_runs_on_one_and_is_registered_only_then(github: GitHub, full: Service) -> None:
    kept, reckoning = sandboxes(full), Reckoning(github, full)
    (job,) = reckoning.settle(
        *github.run(
            "octo-org/example",
            {"labels": ["chaser"], "steps": [{"name": "look", "run": 'echo "this is $RUNNER_NAME"'}]},
        )
    )
    assert job["conclusion"] == "success"
    (log,) = reckoning.logs
    assert f"this is {job['runner_name']}" in log
    row = next(each for each in full.jobs() if each["kind"] == "github.runner")
    assert row["session_id"] in kept
    assert row["result"]["timings"]["warm"] is True


def test_one_that_somebody_kills_is_replaced_within_seconds(full: Service) -> None:
    kept = sandboxes(full)
    victim = next(iter(kept))
    full.docker("kill", kept[victim])
    until(lambda: victim not in sandboxes(full) and ready(full) == full.made_ahead, "another", patience=SOON)


@pytest.fixture
def own(small_image: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[Service]:
    """A service that the test may end."""
    settings = {"CHASER_PROFILES__DEFAULT__MIN_WARM": "3"}
    with installation(tmp_path_factory.mktemp("own"), settings) as service:
        until(lambda: ready(service) == 3, "all to be ready")
        yield service


def test_a_power_cut_leaves_none_that_anybody_could_use(own: Service) -> None:
    left = sandboxes(own)
    own.kill()
    until(lambda: not own.containers(running=True), "them to end with the service", patience=SOON)
    states = [own.docker.inspect(container)["State"]["ExitCode"] for container in left.values()]
    assert states == [NEVER_HANDED_ANYTHING] * 3

    begun = time.monotonic()
    own.start()
    until(lambda: not left.keys() & sandboxes(own).keys(), "them to be removed", patience=SOON)
    assert time.monotonic() - begun < SOON
    answers = [own.run("echo ran") for _ in range(4)]
    assert not {answer["session_id"] for answer in answers} & left.keys()
    until(lambda: ready(own) == 3, "others to be ready")
    own.expect_nothing_left()
    gone = own.rows("SELECT id FROM sandboxes WHERE gone_at IS NOT NULL")
    assert left.keys() <= {sandbox for (sandbox,) in gone}


def test_a_stop_removes_them(own: Service) -> None:
    instance = own.instance
    assert own.stop() == 0
    assert containers_of(instance) == []
    assert own.rows("SELECT id FROM sandboxes WHERE gone_at IS NULL") == []


def containers_of(instance: str) -> Sequence[str]:
    """Whatever their states."""
    return Docker()("ps", "--all", "--quiet", "--filter", f"label={INSTANCE}={instance}").split()
