"""Launches of several steps, under each shell that an image may have: what runs, what is ended, and what is told."""

import asyncio
import shutil
from collections.abc import AsyncGenerator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from chaser.jobs.logs import Stream
from chaser.jobs.reason import Reason
from chaser.sandboxes.deadlines import Deadlines
from chaser.sandboxes.ending import Exited, Stopped
from chaser.sandboxes.spec import Launch, Step, Streams
from chaser.sandboxes.stop import Stop
from tests.engines import Outcome, Site, docker_site, fake_site

SHELLS = [
    pytest.param(name, marks=() if shutil.which(name) else pytest.mark.skip(f"no {name}"))
    for name in ("dash", "bash", "busybox")
]
SECONDS = timedelta(seconds=1)
SHORT = timedelta(seconds=0.3)


@pytest.fixture(params=[*SHELLS, pytest.param("docker", marks=pytest.mark.docker)])
async def shelled(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Site]:
    """The fake engine with each shell, and real Docker with busybox."""
    if request.param == "docker":
        async with docker_site(tmp_path) as site:
            yield site
        return
    program = shutil.which(str(request.param))
    assert program is not None
    shell = tmp_path / "sh"
    shell.symlink_to(program)
    async with fake_site(tmp_path, str(shell)) as site:
        yield site


def launch(*steps: Step, timeout: timedelta = 60 * SECONDS, streams: Streams = Streams.MERGED) -> Launch:
    return Launch(steps, timeout, streams)


def codes(outcome: Outcome) -> list[int | None]:
    return [step.exit_code for step in outcome.steps]


def texts(outcome: Outcome) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for frame in outcome.frames:
        found[frame.step] = found.get(frame.step, b"") + frame.data
    return found


async def test_steps_run_in_order_on_one_file_system(shelled: Site) -> None:
    outcome = await shelled.run(
        launch(Step("echo one >file"), Step("cat file; echo two >>file"), Step("cat file"))
    )

    assert outcome.ending == Exited(0)
    assert texts(outcome) == {1: b"one\n", 2: b"one\ntwo\n"}
    assert codes(outcome) == [0, 0, 0]
    assert outcome.begun == 1


async def test_each_step_is_told_with_its_times(shelled: Site) -> None:
    outcome = await shelled.run(launch(Step("sleep 0.1"), Step("true")))

    first, second = outcome.steps
    assert first.ended_at is not None
    assert first.ended_at - first.began_at >= timedelta(seconds=0.1)
    assert second.began_at >= first.ended_at


async def test_directory_and_variables_end_with_their_step(shelled: Site) -> None:
    steps = (
        Step("mkdir -p a; cd a; export LEFT=1; pwd", env={"MINE": "1"}),
        Step('pwd; echo "[$LEFT][$MINE][$YOURS]"', env={"YOURS": "2"}),
    )

    outcome = await shelled.run(launch(*steps))

    first, second = texts(outcome)[0].strip(), texts(outcome)[1].splitlines()
    assert first == second[0].rstrip(b"/") + b"/a"
    assert second[1] == b"[][][2]"


async def test_the_first_step_that_fails_ends_the_launch(shelled: Site) -> None:
    outcome = await shelled.run(launch(Step("echo one"), Step("echo two; exit 7"), Step("echo three")))

    assert outcome.ending == Exited(7)
    assert texts(outcome) == {0: b"one\n", 1: b"two\n"}
    assert codes(outcome) == [0, 7]


async def test_a_step_that_may_fail_does_not(shelled: Site) -> None:
    outcome = await shelled.run(launch(Step("exit 7", may_fail=True), Step("echo on")))

    assert outcome.ending == Exited(0)
    assert texts(outcome) == {1: b"on\n"}
    assert codes(outcome) == [7, 0]


async def test_the_end_is_the_last_steps_own_though_it_may_fail(shelled: Site) -> None:
    assert (await shelled.run(launch(Step("true"), Step("exit 7", may_fail=True)))).ending == Exited(7)


async def test_each_step_has_its_own_input(shelled: Site) -> None:
    outcome = await shelled.run(
        launch(Step("cat", stdin="one"), Step("cat"), Step("cat", stdin="x" * 100_000))
    )

    assert texts(outcome) == {0: b"one", 2: b"x" * 100_000}


async def test_split_streams_keep_their_steps(shelled: Site) -> None:
    steps = [Step(f"echo out{n}; echo err{n} >&2") for n in range(3)]

    outcome = await shelled.run(launch(*steps, streams=Streams.SPLIT))

    told = {(frame.step, frame.stream, frame.data) for frame in outcome.frames}
    assert told == {(n, Stream.STDOUT, b"out%d\n" % n) for n in range(3)} | {
        (n, Stream.STDERR, b"err%d\n" % n) for n in range(3)
    }


LINGERS = "(trap '' TERM HUP INT; while :; do echo more >>file; sleep 0.02; done) & echo started"


@pytest.mark.parametrize("may_fail", [False, True])
async def test_what_a_step_leaves_running_ends_with_it(shelled: Site, may_fail: bool) -> None:
    grows = "a=$(wc -c <file); sleep 0.2; b=$(wc -c <file); [ $a = $b ] && echo still"

    outcome = await shelled.run(launch(Step(f"{LINGERS}; sleep 0.1", may_fail=may_fail), Step(grows)))

    assert outcome.ending == Exited(0)
    assert texts(outcome) == {0: b"started\n", 1: b"still\n"}


async def test_a_step_that_takes_too_long_is_ended_alone_if_it_may_fail(shelled: Site) -> None:
    slow = Step(f"{LINGERS}; sleep 1000; echo never", timeout=SHORT, may_fail=True)

    outcome = await shelled.run(launch(slow, Step("echo on")))

    assert outcome.ending == Exited(0)
    assert texts(outcome) == {0: b"started\n", 1: b"on\n"}
    first, second = outcome.steps
    assert first.timed_out
    assert first.exit_code not in {0, None}
    assert (second.timed_out, second.exit_code) == (False, 0)


async def test_each_of_several_steps_may_be_ended_alone(shelled: Site) -> None:
    slow = Step("sleep 1000", timeout=SHORT, may_fail=True)
    quick = Step("echo quick; exit 3", timeout=60 * SECONDS, may_fail=True)

    outcome = await shelled.run(launch(slow, slow, quick, slow, quick))

    assert [step.timed_out for step in outcome.steps] == [True, True, False, True, False]
    assert outcome.ending == Exited(3)
    assert codes(outcome)[2] == 3


async def test_a_step_in_time_is_none_the_wiser_of_its_deadline(shelled: Site) -> None:
    """It may be ended by itself, so it runs in the background; what it prints, reads and says is the same."""
    step = Step("cat; echo err >&2; exit 9", stdin="in\n", timeout=60 * SECONDS, may_fail=True)

    outcome = await shelled.run(launch(step, Step("true")))

    assert texts(outcome) == {0: b"in\nerr\n"}
    assert codes(outcome) == [9, 0]


async def test_a_step_that_must_not_fail_ends_the_launch_with_its_time(shelled: Site) -> None:
    outcome = await shelled.run(
        launch(Step("echo one"), Step("echo two; sleep 1000", timeout=SHORT), Step("true"))
    )

    assert isinstance(outcome.ending, Stopped)
    assert outcome.ending.reason is Reason.RUN_TIMEOUT
    assert "Step 2 ran longer than its 0.3 s" in outcome.ending.message
    assert texts(outcome) == {0: b"one\n", 1: b"two\n"}
    assert codes(outcome) == [0, None]


async def test_the_whole_has_its_time_too(shelled: Site) -> None:
    outcome = await shelled.run(launch(Step("true"), Step("sleep 1000"), timeout=SHORT))

    assert isinstance(outcome.ending, Stopped)
    assert outcome.ending.reason is Reason.RUN_TIMEOUT
    assert codes(outcome) == [0, None]


async def test_a_signal_that_is_late_ends_no_other_step(shelled: Site) -> None:
    prepared = await shelled.prepared()
    sent: list[asyncio.Task[None]] = []

    def late(data: bytes) -> None:
        if b"second" in data and not sent:
            sent.append(asyncio.create_task(shelled.engine.signal(prepared.container, "USR1")))

    first = Step("true", timeout=60 * SECONDS, may_fail=True)
    second = Step("echo second; sleep 0.5; echo whole", timeout=60 * SECONDS, may_fail=True)
    outcome = await shelled.run(launch(first, second), prepared, heard=late)

    assert sent
    assert texts(outcome) == {1: b"second\nwhole\n"}
    assert [step.timed_out for step in outcome.steps] == [False, False]


async def test_a_step_that_the_signal_does_not_end_ends_the_launch(faulty: Site) -> None:
    """Say, because the boot script was stopped."""
    steps = (Step("kill -STOP $PPID; sleep 1000", timeout=SHORT, may_fail=True), Step("echo never"))

    outcome = await faulty.run(launch(*steps), deadlines=Deadlines(cut=SHORT))

    assert isinstance(outcome.ending, Stopped)
    assert "Step 1" in outcome.ending.message


async def test_a_cancel_in_mid_step_ends_all(shelled: Site) -> None:
    stop = Stop()

    def cancel(data: bytes) -> None:
        if b"two" in data:
            stop.request(Reason.CANCELLED_BY_USER, "It was cancelled by request.")

    steps = (Step("echo one"), Step("echo two; sleep 1000"), Step("echo three"))
    outcome = await shelled.run(launch(*steps), stop=stop, heard=cancel)

    assert outcome.ending == Stopped(Reason.CANCELLED_BY_USER, "It was cancelled by request.")
    assert codes(outcome) == [0, None]
    assert outcome.steps[1].ended_at is not None


async def test_a_last_step_may_replace_the_shell(shelled: Site) -> None:
    outcome = await shelled.run(launch(Step("echo one"), Step("echo two; exit 5", replaces_shell=True)))

    assert outcome.ending == Exited(5)
    assert codes(outcome) == [0, 5]
    assert texts(outcome) == {0: b"one\n", 1: b"two\n"}


@pytest.mark.docker
async def test_memory_kills_are_counted_for_each_step(real: Site) -> None:
    big = Step("tail /dev/zero", may_fail=True)

    outcome = await real.run(launch(big, Step("true"), big, Step("true")))

    assert [step.oom_kills > 0 for step in outcome.steps] == [True, False, True, False]


@pytest.mark.docker
async def test_a_fork_that_left_its_session_ends_with_its_step(real: Site) -> None:
    """Also where the shell is dash, and what it runs ignores all that can be ignored."""
    image = await real.engine.image("chaser-default:latest")
    assert image is not None, "build it: make images-local"
    lingers = "setsid sh -c \"trap '' TERM HUP INT; sleep 1000\" & sleep 0.2"
    others = "for p in /proc/[0-9]*; do cat $p/comm; done 2>/dev/null | sort | uniq -c"

    outcome = await real.run(
        launch(
            Step(lingers), Step(others), Step("sleep 1000", timeout=SHORT, may_fail=True), Step("echo on")
        ),
        await real.prepared(image=image),
    )

    assert outcome.ending == Exited(0)
    assert b"sleep" not in texts(outcome)[1]
    assert texts(outcome)[3] == b"on\n"


async def test_sequence_numbers_go_on_over_steps(shelled: Site) -> None:
    outcome = await shelled.run(launch(*[Step(f"echo {n}") for n in range(5)]))

    numbers = [frame.seq for frame in outcome.frames]
    assert all(after == before + 1 for before, after in pairwise(numbers))
