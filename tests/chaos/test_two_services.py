"""Two services on one PostgreSQL and one engine: they share the work, and each takes over what the other leaves."""

import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from random import Random

import pytest

from tests.acceptance.machine import processes_with
from tests.acceptance.service import Service, marker
from tests.acceptance.waiting import until
from tests.chaos.audit import expect_all_done_once, expect_no_leftovers, lines
from tests.chaos.form import LONG
from tests.chaos.pair import two_services
from tests.chaos.tasks import Task, base, tasks
from tests.postgres import PostgresServer

pytestmark = [pytest.mark.docker, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(400)]

LEASE, HEARTBEAT = 30.0, 10.0
TAKEN_OVER_WITHIN = LEASE + 60
"""Lease, reaper's round, and what a slow machine needs."""
SETTINGS = {"CHASER_LIMITS__MAX_RUNNING": "3"}
UNTIL_TOLD = "until [ -e /tmp/go ]; do sleep 0.1; done"
JOBS = 60

Pair = tuple[Service, Service]


@pytest.fixture
def pair(small_image: str, postgres: PostgresServer, tmp_path: Path) -> Iterator[Pair]:
    with two_services(tmp_path, postgres, SETTINGS) as both:
        yield both


def seats(service: Service) -> Mapping[str, str]:
    """Whose each job is, or was last: the service's own directory tells its seat."""
    query = "SELECT jobs.id, workers.seat FROM jobs JOIN workers ON workers.id = jobs.worker"
    return dict(service.rows(query))


def seat(service: Service) -> str:
    return (service.data_dir / "seat").read_text()


def who_runs(pair: Pair, job: str) -> Pair:
    """The service that runs the job, and the other."""
    one, two = pair
    return (one, two) if seats(one)[job] == seat(one) else (two, one)


def tell_to_end(service: Service, job: str) -> None:
    session = service.job(job)["session_id"]
    service.docker("exec", f"chaser-{session.removeprefix('sbx_')}", "touch", "/tmp/go")


def test_both_work_and_what_one_leaves_at_its_death_the_other_does(pair: Pair, random: Random) -> None:
    one, two = pair
    accepted: dict[str, Task] = {}
    for number, task in enumerate(islice(chain([base()], tasks(random)), JOBS)):
        answer = pair[number % 2].http.post("/v1/jobs", json=task.body)
        assert answer.status_code == 201, answer.text
        accepted[answer.json()["id"]] = task

    def under_way() -> bool:
        rows = two.rows("SELECT id, status FROM jobs")
        done = sum(status == "succeeded" for _, status in rows)
        running = {job for job, status in rows if status == "running"}
        of_one = {job for job, whose in seats(two).items() if whose == seat(one)}
        return done > JOBS / 4 and bool(running & of_one)

    until(under_way, "the first to be in the middle of something", 120)
    one.kill()
    for job in accepted:
        until(lambda job=job: two.job(job, wait_ms=5_000)["finished_at"], f"{job} to end", 200)
    assert set(Counter(seats(two).values())) == {seat(one), seat(two)}
    expect_all_done_once(two, accepted)
    expect_no_leftovers(two)


@LONG
def test_what_a_killed_process_ran_is_taken_over_when_its_lease_is_over(pair: Pair) -> None:
    job = pair[0].begin(f"echo begun; {UNTIL_TOLD}; echo told")
    until(lambda: pair[0].output(job), "its first output")
    runs, other = who_runs(pair, job)
    runs.kill()
    until(lambda: seats(other)[job] == seat(other), "the other to take it over", TAKEN_OVER_WITHIN)
    tell_to_end(other, job)
    row = other.ended(job)
    assert (row["status"], row["attempt"]) == ("succeeded", 1)
    assert other.output(job) == b"begun\ntold\n"
    expect_no_leftovers(other)


def test_what_a_stopped_process_let_go_of_is_taken_over_without_waiting_for_its_lease(pair: Pair) -> None:
    job = pair[0].begin(f"echo begun; {UNTIL_TOLD}; echo told")
    until(lambda: pair[0].output(job), "its first output")
    runs, other = who_runs(pair, job)
    assert runs.stop() == 0
    until(lambda: seats(other)[job] == seat(other), "the other to take it over", LEASE * 0.8)
    tell_to_end(other, job)
    assert other.ended(job)["status"] == "succeeded"
    assert other.output(job) == b"begun\ntold\n"


def test_a_cancel_through_one_reaches_what_the_other_runs(pair: Pair) -> None:
    """At once, not with the next sign of life."""
    word = marker()
    job = pair[0].begin(f"while :; do sleep 1; done; : {word}")
    runs, other = who_runs(pair, job)
    began = time.monotonic()
    row = other.cancel(job)
    assert (row["status"], row["reason"]) == ("cancelled", "cancelled_by_user")
    assert time.monotonic() - began < HEARTBEAT
    assert runs.job(job)["status"] == "cancelled"
    assert processes_with(word) == []


def test_a_log_is_followed_live_through_the_process_that_does_not_run_it(pair: Pair) -> None:
    """The job ends only when its first line has been read."""
    job = pair[0].begin(f"echo first; {UNTIL_TOLD}; echo last")
    _, other = who_runs(pair, job)
    found = b""
    with other.http.stream("GET", f"/v1/jobs/{job}/logs", params={"follow": "true"}) as answer:
        for piece in answer.iter_raw():
            if found == b"" and piece:
                tell_to_end(other, job)
            found += piece
    assert found == b"first\nlast\n"


def test_a_job_sent_to_a_full_process_is_run_by_the_other_at_once(pair: Pair) -> None:
    word = marker()
    blocking = [pair[0].begin(f"while :; do sleep 1; done; : {word}") for _ in range(5)]
    began = time.monotonic()
    assert pair[0].run("echo ran")["output"] == "ran\n"
    assert pair[1].run("echo ran")["output"] == "ran\n"
    assert time.monotonic() - began < HEARTBEAT
    for job in blocking:
        pair[1].cancel(job)


def test_an_end_frees_the_line_for_a_job_of_the_other_process(pair: Pair) -> None:
    """Whoever stands behind in a workspace's line moves up, whichever process runs it."""
    first = pair[0].begin(f"{UNTIL_TOLD}; echo first >> lines", workspace="kept")
    runs, other = who_runs(pair, first)
    blocking = [runs.begin("while :; do sleep 1; done") for _ in range(2)]
    second = other.queue("sandbox.exec", {"command": "echo second >> lines", "workspace": "kept"})
    until(lambda: other.job(second)["waiting"]["because"] == "workspace_busy", "the second to wait")
    began = time.monotonic()
    tell_to_end(runs, first)
    assert other.ended(second)["status"] == "succeeded"
    assert time.monotonic() - began < HEARTBEAT
    assert lines(other, ["kept"]) == {"kept": ["first", "second"]}
    for job in blocking:
        runs.cancel(job)


def test_a_process_that_comes_back_after_its_lease_writes_nothing_any_more(pair: Pair) -> None:
    """It was stopped, not dead: what it ran is the other's, its next job is its own."""
    count = "i=0; until [ -e /tmp/go ]; do i=$((i+1)); echo line $i; sleep 0.1; done; echo told"
    job = pair[0].begin(count)
    starting = [pair[0].submit(f"{UNTIL_TOLD}; echo told") for _ in range(3)]
    for each in starting:
        pair[0].job_when(each, "running")
    until(lambda: pair[0].output(job).count(b"\n") > 5, "some output")
    runs, other = who_runs(pair, job)
    runs.send(signal.SIGSTOP)
    until(lambda: seats(other)[job] == seat(other), "the other to take it over", TAKEN_OVER_WITHIN)
    before = other.output(job)
    until(lambda: len(other.output(job)) > len(before), "the other to read on")
    runs.send(signal.SIGCONT)
    until(lambda: "Somebody else works on this job" in runs.log, "the late one to learn of it")
    for each in (job, *starting):
        tell_to_end(other, each)
        row = other.ended(each)
        assert (row["status"], row["attempt"]) == ("succeeded", 1), row
    *counted, last = other.output(job).decode().splitlines()
    assert (last, counted) == ("told", [f"line {number}" for number in range(1, len(counted) + 1)])
    history = [event["to_status"] for event in other.events(job)]
    assert history == ["queued", "starting", "running", "succeeded"]
    assert runs.run("echo next")["output"] == "next\n"
    expect_no_leftovers(other)
