"""The one way to start a sandbox and to end it, on each engine: what runs, what is heard of it, and what is left."""

import asyncio
import json
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from chaser.errors import Refused, Unavailable
from chaser.jobs.logs import Stream
from chaser.jobs.reason import Reason
from chaser.sandboxes.deadlines import Deadlines
from chaser.sandboxes.ending import Exited, NotBegun, Stopped, Vanished
from chaser.sandboxes.engine import ExitCause
from chaser.sandboxes.engines.fake import FakeEngine
from chaser.sandboxes.spec import Launch, Step, Streams
from chaser.sandboxes.stop import Stop
from tests.engines import Outcome, Site, script
from tests.images import docker

SOON = timedelta(seconds=0.5)
KIB = 1024


def sees(stop: Stop, word: bytes) -> Callable[[bytes], None]:
    """Cancels a run as soon as it has printed `word`."""
    heard = bytearray()

    def hear(data: bytes) -> None:
        heard.extend(data)
        if word in heard:
            stop.request(Reason.CANCELLED_BY_USER, "It was cancelled by request.")

    return hear


# What runs, and how it ends.


@pytest.mark.parametrize("code", [0, 1, 7, 121, 126, 127, 255])
async def test_the_exit_status_is_the_commands_own(site: Site, code: int) -> None:
    outcome = await site.sh(f"echo here; exit {code}")

    assert outcome.ending == Exited(code)
    assert outcome.text() == b"here\n"
    assert outcome.begun == 1


async def test_a_command_killed_by_a_signal_ends_with_128_more(site: Site) -> None:
    assert (await site.sh("kill -9 $$")).ending == Exited(137)


async def test_a_command_that_is_not_found_says_so(site: Site) -> None:
    outcome = await site.sh("no-such-program-here")

    assert outcome.ending == Exited(127)
    assert b"not found" in outcome.text()


async def test_merged_output_keeps_its_order(site: Site) -> None:
    outcome = await site.sh("for i in 1 2 3 4; do echo out $i; echo err $i >&2; done")

    assert outcome.text() == b"".join(b"out %d\nerr %d\n" % (i, i) for i in range(1, 5))
    assert {frame.stream for frame in outcome.frames} == {Stream.OUTPUT}


async def test_split_output_is_told_apart(site: Site) -> None:
    outcome = await site.run(script("echo out; echo err >&2", streams=Streams.SPLIT))

    assert outcome.text(Stream.STDOUT) == b"out\n"
    assert outcome.text(Stream.STDERR) == b"err\n"
    assert outcome.text() == b""


@pytest.mark.parametrize("streams", Streams)
async def test_large_output_is_kept_byte_for_byte(site: Site, streams: Streams) -> None:
    data = noise(700_000)
    command = "cat" if streams is Streams.MERGED else "tee /dev/stderr"

    outcome = await site.run(script(command, streams=streams, stdin=data))

    expected = data.encode()
    if streams is Streams.MERGED:
        assert outcome.text() == expected
    else:
        assert outcome.text(Stream.STDOUT) == expected
        assert outcome.text(Stream.STDERR) == expected


async def test_output_without_a_newline_at_its_end_is_whole(site: Site) -> None:
    assert (await site.sh("printf end")).text() == b"end"


async def test_a_run_may_be_silent(site: Site) -> None:
    outcome = await site.sh("true")

    assert outcome.ending == Exited(0)
    assert outcome.frames == []


async def test_steps_run_in_order_and_the_last_ones_end_is_the_end(site: Site) -> None:
    steps = (
        Step("echo one; exit 3", may_fail=True),
        Step("echo two; read -r word; echo $word", stdin="three"),
        Step("exit 5"),
    )

    outcome = await site.run(Launch(steps, timedelta(seconds=60)))

    assert outcome.ending == Exited(5)
    assert outcome.text() == b"one\ntwo\nthree\n"
    assert outcome.begun == 1


async def test_what_a_command_leaves_in_the_background_does_not_hold_up_its_end(site: Site) -> None:
    outcome = await site.sh("sleep 1000 & echo started")

    assert outcome.ending == Exited(0)
    assert outcome.text() == b"started\n"


# What is handed over.


@pytest.mark.parametrize("size", [1, 3 * KIB, 5 * KIB, KIB * KIB])
async def test_stdin_arrives_exactly_and_then_ends(site: Site, size: int) -> None:
    data = noise(size)[:size]

    outcome = await site.sh("cat; echo; echo over", stdin=data)

    assert outcome.text() == data.encode() + b"\nover\n"


async def test_without_stdin_it_is_empty(site: Site) -> None:
    assert (await site.sh("cat; echo over")).text() == b"over\n"


VALUES = {
    "PLAIN": "plain",
    "QUOTES": """it's "quoted" `here` \\ and $HOME $(date)""",
    "LINES": "one\ntwo\n\nthree\n",
    "UNICODE": "Grüße, 世界 🚀",
    "EMPTY": "",
    "END": "#end 00000000000000000000000000000000",
    "SPACES": "  lead and trail\t ",
    "_c_n": "a name that the boot script uses itself",
}


async def test_environment_arrives_whatever_is_in_it(site: Site) -> None:
    command = "; ".join(f'printf "%s|" "${name}"' for name in VALUES)

    outcome = await site.sh(command, env=VALUES)

    assert outcome.ending == Exited(0)
    assert outcome.text().decode() == "".join(f"{value}|" for value in VALUES.values())


async def test_a_long_value_arrives_whole(site: Site) -> None:
    value = noise(100 * KIB).replace("\n", "-")[: 100 * KIB]

    outcome = await site.sh('printf %s "$LONG"', env={"LONG": value}, stdin="x" * (900 * KIB))

    assert outcome.text() == value.encode()


async def test_a_long_command_arrives_whole(site: Site) -> None:
    text = "x" * (100 * KIB)

    assert (await site.sh(f"printf %s {text}")).text() == text.encode()


async def test_of_the_boot_script_nothing_shows_in_the_environment(site: Site) -> None:
    assert b"_c_" not in (await site.sh("env")).text()


async def test_a_command_runs_where_it_is_told_to(site: Site) -> None:
    outcome = await site.sh("mkdir 'a b'; cd 'a b'; exec /bin/sh -c pwd", cwd="/tmp")
    await site.sh("rmdir '/tmp/a b'")

    assert outcome.text() == b"/tmp/a b\n"


async def test_a_directory_that_is_missing_ends_the_step_with_126(site: Site) -> None:
    outcome = await site.sh("echo never", cwd="/no/such place")

    assert outcome.ending == Exited(126)
    assert outcome.text() == b"chaser: cannot change to the directory /no/such place\n"


async def test_marks_that_a_command_prints_itself_are_output(site: Site) -> None:
    fake = "\x1eEND 0123456789abcdef0123456789abcdef 0 0\x1e\n"

    outcome = await site.sh("cat; exit 4", stdin=fake)

    assert outcome.ending == Exited(4)
    assert outcome.text() == fake.encode()


async def test_a_step_that_replaces_the_shell_gets_the_signal(site: Site) -> None:
    """The engine's signal reaches it, and its exit is the end; docker-init signals only its direct child."""
    command = "trap 'echo terminated; exit 9' TERM; echo ready; while :; do sleep 0.1; done"
    prepared = await site.prepared()
    heard = bytearray()

    def hear(data: bytes) -> None:
        was_ready = b"ready" in heard
        heard.extend(data)
        if b"ready" in heard and not was_ready:
            terminate(site, prepared.container)

    outcome = await site.run(script(command, replaces_shell=True), prepared, heard=hear)

    assert outcome.ending == Exited(9)
    assert outcome.text() == b"ready\nterminated\n"


async def test_a_step_that_asked_for_it_may_end_in_its_own_way(site: Site) -> None:
    command = "trap 'echo cleaned up; exit 9' TERM; echo ready; while :; do sleep 0.1; done"
    stop = Stop()

    outcome = await site.run(
        script(command, replaces_shell=True, grace=timedelta(seconds=60)),
        stop=stop,
        heard=lambda data: stop.request(Reason.RUN_TIMEOUT, "late"),
    )

    assert outcome.ending == Stopped(Reason.RUN_TIMEOUT, "late")
    assert outcome.text() == b"ready\ncleaned up\n"


async def test_a_step_that_does_not_use_its_grace_is_killed_after_it(site: Site) -> None:
    command = "trap 'echo no' TERM; echo ready; while :; do sleep 0.1; done"
    stop = Stop()

    outcome = await site.run(
        script(command, replaces_shell=True, grace=timedelta(seconds=1)),
        stop=stop,
        heard=lambda data: stop.request(Reason.RUN_TIMEOUT, "late"),
    )

    assert outcome.ending == Stopped(Reason.RUN_TIMEOUT, "late")
    assert outcome.text() == b"ready\nno\n"


def terminate(site: Site, container: str) -> None:
    match site.engine:
        case FakeEngine() as engine:
            process = engine.containers[next(iter(engine.containers))].process
            assert process is not None
            process.terminate()
        case _:
            docker("kill", "--signal", "TERM", container)


# How it is ended.


async def test_a_run_that_takes_too_long_is_killed_and_keeps_its_output(site: Site) -> None:
    outcome = await site.run(script("echo before; sleep 1000; echo after", seconds=0.7))

    assert isinstance(outcome.ending, Stopped)
    assert outcome.ending.reason is Reason.RUN_TIMEOUT
    assert "0.7 s" in outcome.ending.message
    assert outcome.text() == b"before\n"


async def test_a_run_is_cancelled_while_it_prints(site: Site) -> None:
    stop = Stop()

    outcome = await site.run(
        script("echo here; while :; do echo more; done"), stop=stop, heard=sees(stop, b"here")
    )

    assert outcome.ending == Stopped(Reason.CANCELLED_BY_USER, "It was cancelled by request.")
    assert outcome.text().startswith(b"here\n")


async def test_a_run_that_is_cancelled_before_it_begins_never_begins(site: Site) -> None:
    stop = Stop()
    stop.request(Reason.CLIENT_GONE, "gone")

    outcome = await site.run(script("echo never"), stop=stop)

    assert outcome.ending == Stopped(Reason.CLIENT_GONE, "gone")
    assert (outcome.begun, outcome.frames) == (0, [])


async def test_a_run_that_is_cancelled_as_it_begins_is_ended(site: Site) -> None:
    stop = Stop()

    outcome = await site.run(
        script("sleep 1000"), stop=stop, begun=lambda: stop.request(Reason.CLIENT_GONE, "gone")
    )

    assert outcome.ending == Stopped(Reason.CLIENT_GONE, "gone")


async def test_of_two_stops_the_first_is_the_reason(site: Site) -> None:
    stop = Stop()

    def twice() -> None:
        stop.request(Reason.OUTPUT_LIMIT, "first")
        stop.request(Reason.CLIENT_GONE, "second")

    outcome = await site.run(script("sleep 1000"), stop=stop, begun=twice)

    assert outcome.ending == Stopped(Reason.OUTPUT_LIMIT, "first")


async def test_nothing_runs_any_more_when_a_run_has_ended(site: Site) -> None:
    prepared = await site.prepared()
    stop = Stop()
    output = await site.run_keeping(
        script("sleep 1000 & echo up; sleep 1000"), prepared, stop=stop, heard=sees(stop, b"up")
    )

    assert isinstance(output.ending, Stopped)
    assert (await site.engine.state(prepared.container)).cause is ExitCause.EXITED


@pytest.mark.docker
async def test_a_fork_that_left_its_session_is_gone_with_the_sandbox(real: Site) -> None:
    """The whole process namespace ends: no process on this machine has the sandbox's mark any more."""
    mark = real.instance.replace("_", "")
    command = f"setsid sh -c 'sleep 1000; : {mark}' & (trap '' TERM HUP INT; exec sleep 1000) & echo up"

    outcome = await real.sh(command)

    assert outcome.ending == Exited(0)
    assert mark not in docker("ps", "--no-trunc", "--format", "{{.Command}}")
    assert not processes_with(mark)


def processes_with(mark: str) -> list[str]:
    found: list[str] = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = each.read_bytes()
        except OSError:
            continue  # it has just ended
        if mark.encode() in words:
            found.append(str(each))
    return found


# What may go wrong on the way.


async def test_an_attach_that_is_lost_in_mid_run_is_continued_from_the_log(site: Site) -> None:
    """Byte for byte, though the sandbox goes on printing meanwhile."""
    data = noise(300_000)
    prepared = await site.prepared()
    cut = False

    def lose(heard: bytes) -> None:
        nonlocal cut
        if not cut:
            cut = True
            prepared.attachment.close()

    outcome = await site.run(script("cat; sleep 0.2; echo end", stdin=data), prepared, heard=lose)

    assert cut
    assert outcome.ending == Exited(0)
    assert outcome.text() == data.encode() + b"end\n"


@pytest.mark.parametrize("after", [1, 6, 7, 50, 60, 5000])
async def test_an_attach_that_is_lost_after_some_bytes_loses_nothing(faulty: Site, after: int) -> None:
    assert isinstance(faulty.engine, FakeEngine)
    data = noise(20_000)
    prepared = await faulty.prepared()
    faulty.engine.cut(after)

    outcome = await faulty.run(script("cat; exit 6", stdin=data), prepared)

    assert outcome.ending == Exited(6)
    assert outcome.text() == data.encode()


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.99])
@pytest.mark.parametrize("size", [10, 100 * KIB])
async def test_a_hand_over_that_is_cut_off_runs_nothing(faulty: Site, part: float, size: int) -> None:
    assert isinstance(faulty.engine, FakeEngine)
    launch = script(f"echo ran >ran; : {'x' * size}")
    faulty.engine.cut_inputs.append(int(part * size))
    prepared = await faulty.prepared()

    outcome = await faulty.run(launch, prepared)

    assert isinstance(outcome.ending, NotBegun)
    assert "nothing has run" in outcome.ending.message
    assert (outcome.begun, outcome.frames) == (0, [])


async def test_a_channel_that_is_lost_before_the_hand_over_runs_nothing(site: Site) -> None:
    prepared = await site.prepared()
    prepared.attachment.close()

    outcome = await site.run(script("echo never"), prepared)

    assert isinstance(outcome.ending, NotBegun)
    assert outcome.frames == []


async def test_a_begin_that_is_heard_of_too_late_is_no_second_chance(faulty: Site) -> None:
    """The engine's log says that it has begun: it is ended, and not called `NotBegun`."""
    assert isinstance(faulty.engine, FakeEngine)
    engine = faulty.engine
    prepared = await faulty.prepared()
    engine.cut(1)
    engine.log_away = True

    async def readable_at_the_end() -> None:
        await engine.exited(prepared.container)
        engine.log_away = False

    reading = asyncio.create_task(readable_at_the_end())

    outcome = await faulty.run(script("echo ran; sleep 1000"), prepared, deadlines=Deadlines(start=SOON))
    await reading

    assert isinstance(outcome.ending, Vanished)
    assert outcome.text() == b"ran\n"


async def test_an_image_without_a_shell_is_refused(faulty: Site) -> None:
    assert isinstance(faulty.engine, FakeEngine)
    faulty.engine.without_shell.add(faulty.image.id)

    with pytest.raises(Refused) as refused:
        await faulty.prepared()

    assert refused.value.reason is Reason.IMAGE_HAS_NO_SHELL
    assert faulty.engine.containers == {}


@pytest.mark.docker
async def test_a_real_image_without_a_shell_is_refused(real: Site) -> None:
    empty = f"chaser-test-{real.instance.lower()}:empty"
    docker("import", "-", empty, stdin=b"\0" * 10_240)
    try:
        image = await real.engine.image(empty)
        with pytest.raises(Refused) as refused:
            await real.prepared(image=image)
        assert refused.value.reason is Reason.IMAGE_HAS_NO_SHELL
        assert await real.engine.sandboxes(real.instance) == []
    finally:
        docker("rmi", "--force", empty)


async def test_an_image_that_is_never_ready_is_given_up(faulty: Site) -> None:
    assert isinstance(faulty.engine, FakeEngine)
    faulty.engine.silent.add(faulty.image.id)

    with pytest.raises(Unavailable) as unavailable:
        await faulty.prepared(deadlines=Deadlines(start=SOON))

    assert unavailable.value.reason is Reason.START_TIMEOUT
    assert faulty.engine.containers == {}


async def test_a_sandbox_removed_in_mid_run_has_vanished(site: Site) -> None:
    prepared = await site.prepared()
    removing: list[asyncio.Task[None]] = []

    def remove() -> None:
        removing.append(asyncio.create_task(site.engine.remove(prepared.container)))

    outcome = await site.run(script("sleep 1000"), prepared, begun=remove)

    assert isinstance(outcome.ending, Vanished)


async def test_a_sandbox_killed_from_outside_has_vanished(site: Site) -> None:
    prepared = await site.prepared()
    killing: list[asyncio.Task[None]] = []

    def kill() -> None:
        killing.append(asyncio.create_task(site.engine.kill(prepared.container)))

    outcome = await site.run(script("sleep 1000"), prepared, begun=kill)

    assert isinstance(outcome.ending, Vanished)
    assert "137" in outcome.ending.message


async def test_an_engine_that_comes_back_in_time_costs_nothing(faulty: Site) -> None:
    assert isinstance(faulty.engine, FakeEngine)
    engine = faulty.engine

    async def come_back() -> None:
        await engine.missed.wait()
        engine.away = False

    coming = asyncio.create_task(come_back())

    def leave() -> None:
        engine.away = True
        engine.cut()

    outcome = await faulty.run(script("echo one; sleep 0.5; echo two"), begun=leave)
    await coming

    assert outcome.ending == Exited(0)
    assert outcome.text() == b"one\ntwo\n"


async def test_an_engine_that_stays_away_has_lost_the_run(faulty: Site) -> None:
    assert isinstance(faulty.engine, FakeEngine)
    engine = faulty.engine

    def leave() -> None:
        engine.away = True
        engine.cut()

    outcome = await faulty.run_keeping(script("sleep 1000"), begun=leave, deadlines=Deadlines(patience=SOON))

    assert isinstance(outcome.ending, Vanished)
    assert "away" in outcome.ending.message


async def test_a_stop_stands_though_the_engine_is_away(faulty: Site) -> None:
    assert isinstance(faulty.engine, FakeEngine)
    engine, stop = faulty.engine, Stop()

    def leave() -> None:
        engine.away = True
        stop.request(Reason.CANCELLED_BY_USER, "It was cancelled by request.")

    outcome = await faulty.run_keeping(
        script("sleep 1000"), stop=stop, begun=leave, deadlines=Deadlines(patience=SOON)
    )

    assert outcome.ending == Stopped(Reason.CANCELLED_BY_USER, "It was cancelled by request.")


async def test_an_exit_that_is_never_told_does_not_hold_up_a_stop_for_ever(faulty: Site) -> None:
    assert isinstance(faulty.engine, FakeEngine)
    faulty.engine.tells_exits = False

    outcome = await faulty.run(script("sleep 1000", seconds=0.2), deadlines=Deadlines(end=SOON))

    assert isinstance(outcome.ending, Stopped)
    assert outcome.ending.reason is Reason.RUN_TIMEOUT


# What nobody may see.


@pytest.mark.docker
async def test_nothing_of_a_request_shows_to_who_looks_at_the_container(real: Site) -> None:
    word = "s3cr3t" + real.instance.replace("_", "")
    prepared = await real.prepared()
    seen: list[str] = []

    def look() -> None:
        seen.append(docker("inspect", prepared.container))
        seen.append(docker("top", prepared.container, "-eo", "pid,args"))

    command = "tr '\\0' ' ' </proc/1/cmdline; cat /proc/1/environ; sleep 0.5"
    outcome = await real.run(script(command, env={"TOKEN": word}, stdin=word), prepared, begun=look)

    assert outcome.ending == Exited(0)
    assert word not in outcome.text().decode()
    assert b"READY" in outcome.text()
    assert len(seen) == 2
    assert not any(word in each for each in seen)
    assert json.loads(seen[0])[0]["Id"] == prepared.container


@pytest.mark.docker
async def test_a_sandbox_holds_no_more_than_it_was_given(real: Site) -> None:
    outcome = await real.sh("grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status; ulimit -n; ulimit -c")

    # CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID (capabilities(7)): bits 0, 1, 3, 4, 5, 6, 7
    assert outcome.text().decode().split() == [
        "CapEff:",
        "00000000000000fb",
        "NoNewPrivs:",
        "1",
        "Seccomp:",
        "2",
        "1024",
        "0",
    ]


@pytest.mark.docker
async def test_a_process_killed_for_want_of_memory_is_counted(real: Site) -> None:
    outcome = await real.sh("tail /dev/zero; exit 3")

    assert isinstance(outcome.ending, Exited)
    assert outcome.ending.exit_code == 3
    assert outcome.ending.oom_kills >= 1


def noise(size: int) -> str:
    """Text that is unlike itself, in lines of any length, a few of them long."""
    letters = random.Random(size)
    lines: list[str] = []
    while size > 0:
        length = letters.choice((0, 1, 80, 200, 16_383, 16_384, 20_000))
        lines.append("".join(letters.choices("abcdefg ÄÖ€'\"\\$`", k=min(length, size))))
        size -= length + 1
    return "\n".join(lines) + "\n"


def test_outcomes_are_told_by_stream() -> None:
    assert Outcome(Exited(0), [], 0).text() == b""
