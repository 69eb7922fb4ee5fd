"""What every engine promises to the launcher, on each of them."""

import asyncio
import gc
import random
import threading
import warnings
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chaser.errors import Refused, Unavailable
from chaser.ids import InstanceId, SandboxId
from chaser.jobs.reason import Reason
from chaser.sandboxes.boot import READY
from chaser.sandboxes.engine import STDERR, STDOUT, ContainerId, Engine, ExitCause
from chaser.sandboxes.engines.docker import DockerEngine
from chaser.sandboxes.engines.fake import FakeEngine
from chaser.sandboxes.labels import INSTANCE, SANDBOX, container_name
from tests.engines import Ear, Site
from tests.images import docker

GONE = ContainerId("chaser-never-made")
PIECE = 16 * 1024
"""Where Docker's log driver cuts lines."""
WAITS = ("/bin/sh", "-c", "read -r _; exit 3")


async def read_log(engine: Engine, container: ContainerId) -> dict[int, bytes]:
    """All of the log, by pipe."""
    read = {STDOUT: b"", STDERR: b""}
    async with aclosing(engine.log(container)) as chunks:
        async for chunk in chunks:
            read[chunk.pipe] += chunk.data
    return read


async def test_a_sandbox_is_attached_started_and_says_ready(site: Site) -> None:
    container = await site.engine.create(await site.options())
    ear = Ear()
    attachment = await site.engine.attach(container, ear)

    assert (await site.engine.state(container)).cause is ExitCause.NEVER_STARTED
    await site.engine.start_container(container)
    await ear.until(lambda ear: bytes(ear.heard[STDOUT]) == READY)

    assert (await site.engine.state(container)).cause is ExitCause.RUNNING
    attachment.close()


async def test_both_pipes_are_heard_apart_and_whole(site: Site) -> None:
    command = "printf out; printf err >&2; head -c 300000 /dev/zero; printf end >&2; exit 7"
    container, ear = await site.started("/bin/sh", "-c", command)

    await ear.end()
    await site.engine.exited(container)

    assert bytes(ear.heard[STDOUT]) == b"out" + bytes(300_000)
    assert bytes(ear.heard[STDERR]) == b"errend"
    state = await site.engine.state(container)
    assert (state.cause, state.exit_code) == (ExitCause.EXITED, 7)


async def test_what_is_sent_arrives_whole_and_then_ends(site: Site) -> None:
    message = random.Random(1).randbytes(1 << 20)
    container = await site.engine.create(await site.options("/bin/sh", "-c", "cat; printf end >&2"))
    ear = Ear()
    attachment = await site.engine.attach(container, ear)
    await site.engine.start_container(container)

    await attachment.send(message)
    await ear.end()

    assert bytes(ear.heard[STDOUT]) == message
    assert bytes(ear.heard[STDERR]) == b"end"


async def test_a_sandbox_whose_attachment_closes_gets_the_end_of_its_input(site: Site) -> None:
    container = await site.engine.create(await site.options(*WAITS))
    ear = Ear()
    attachment = await site.engine.attach(container, ear)
    await site.engine.start_container(container)

    attachment.close()
    await ear.end()
    await site.engine.exited(container)

    assert (await site.engine.state(container)).exit_code == 3


async def test_sending_after_the_end_says_nothing(site: Site) -> None:
    container = await site.engine.create(await site.options("/bin/sh", "-c", "exit 0"))
    ear = Ear()
    attachment = await site.engine.attach(container, ear)
    await site.engine.start_container(container)
    await ear.end()

    await attachment.send(b"late")
    attachment.close()
    attachment.close()


async def test_a_kill_ends_all_of_it_and_may_be_repeated(site: Site) -> None:
    container, ear = await site.started("/bin/sh", "-c", "sleep 1000 & printf up; wait")
    await ear.until(lambda ear: bool(ear.heard[STDOUT]))

    await site.engine.kill(container)
    await site.engine.exited(container)
    await ear.end()
    await site.engine.kill(container)

    state = await site.engine.state(container)
    assert (state.cause, state.exit_code) == (ExitCause.EXITED, 137)
    await site.engine.kill(GONE)


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("phase", ["created", "running", "ended"])
async def test_removing_works_at_any_time_and_may_be_repeated(site: Site, phase: str, by_name: bool) -> None:
    options = await site.options(*WAITS)
    container = await site.engine.create(options)
    if phase != "created":
        attachment = await site.engine.attach(container, Ear())
        await site.engine.start_container(container)
        if phase == "ended":
            attachment.close()
            await site.engine.exited(container)
    which = ContainerId(options.name) if by_name else container

    await site.engine.remove(which)

    assert (await site.engine.state(container)).cause is ExitCause.GONE
    assert (await site.engine.state(ContainerId(options.name))).cause is ExitCause.GONE
    await site.engine.remove(which)


async def test_removals_at_once_all_end_when_it_is_gone(site: Site) -> None:
    container, _ = await site.started(*WAITS)

    await asyncio.gather(*(site.engine.remove(container) for _ in range(4)))

    assert (await site.engine.state(container)).cause is ExitCause.GONE


async def test_an_end_is_told_to_who_asked_before_it_and_to_who_asks_after(site: Site) -> None:
    container = await site.engine.create(await site.options(*WAITS))
    attachment = await site.engine.attach(container, Ear())
    await site.engine.start_container(container)
    before = [asyncio.create_task(site.engine.exited(container)) for _ in range(2)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in before)

    attachment.close()
    await asyncio.gather(*before)
    await site.engine.exited(container)

    assert (await site.engine.state(container)).exit_code == 3


async def test_a_removal_is_an_end_too(site: Site) -> None:
    container, _ = await site.started(*WAITS)
    waiting = asyncio.create_task(site.engine.exited(container))

    await site.engine.remove(container)

    await waiting
    await site.engine.exited(container)


async def test_nothing_is_remembered_of_what_is_gone(site: Site) -> None:
    """A removal by name, as the removals make it, forgets what was known by id."""
    options = await site.options(*WAITS)
    await site.engine.create(options)
    await site.engine.remove(ContainerId(options.name))

    match site.engine:
        case DockerEngine() as engine:
            assert engine._exits._ended == {}  # pyright: ignore[reportPrivateUsage]
            assert engine._names == {}  # pyright: ignore[reportPrivateUsage]
        case FakeEngine() as engine:
            assert engine.containers == {}
        case _:
            pytest.fail("an engine that this test does not know")


LENGTHS = (0, 1, PIECE - 2, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE - 1, 2 * PIECE, 3 * PIECE + 5, 100_000, 3)


async def test_the_log_is_what_the_attachment_gave(site: Site) -> None:
    """Random bytes in lines of lengths about the log driver's border, 300 KB in all, on both pipes."""
    noise = random.Random(2)
    lines = [noise.randbytes(length).replace(b"\n", b"\r") for length in LENGTHS]
    data = b"\n".join((*lines, b"end\n"))
    container = await site.engine.create(await site.options("/bin/sh", "-c", "tee /dev/stderr"))
    ear = Ear()
    attachment = await site.engine.attach(container, ear)
    await site.engine.start_container(container)
    await attachment.send(data)
    await ear.end()
    await site.engine.exited(container)

    assert bytes(ear.heard[STDOUT]) == data
    assert bytes(ear.heard[STDERR]) == data
    assert await read_log(site.engine, container) == {STDOUT: data, STDERR: data}


async def test_the_log_tells_when_it_was_printed(site: Site) -> None:
    before = datetime.now(UTC)
    container, _ = await site.started("/bin/sh", "-c", "echo one; sleep 0.2; echo two")
    await site.engine.exited(container)
    after = datetime.now(UTC)

    async with aclosing(site.engine.log(container)) as chunks:
        one, two = [chunk async for chunk in chunks]

    assert (one.data, two.data) == (b"one\n", b"two\n")
    assert before <= one.at <= two.at <= after
    assert two.at - one.at >= timedelta(seconds=0.15)


async def test_a_log_is_followed_while_its_sandbox_runs(site: Site) -> None:
    container = await site.engine.create(await site.options("/bin/sh", "-c", "echo one; read -r _; echo two"))
    attachment = await site.engine.attach(container, Ear())
    await site.engine.start_container(container)
    read = b""

    async with aclosing(site.engine.log(container)) as chunks:
        async for chunk in chunks:
            if not read:
                attachment.close()
            read += chunk.data

    assert read == b"one\ntwo\n"


async def test_a_log_may_be_left_while_its_sandbox_is_silent(site: Site) -> None:
    container, _ = await site.started("/bin/sh", "-c", "echo up; read -r _")

    async with aclosing(site.engine.log(container)) as chunks:
        assert (await anext(chunks)).data == b"up\n"
        waiting = asyncio.ensure_future(anext(chunks))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    await site.engine.remove(container)


async def test_logs_that_are_followed_cost_no_threads_and_hold_up_nothing(site: Site) -> None:
    """Two hundred, of a sandbox that prints nothing meanwhile."""
    container, ear = await site.started("/bin/sh", "-c", "echo up; read -r _")
    await ear.until(lambda ear: bool(ear.heard[STDOUT]))
    await site.engine.state(container)
    threads = threading.active_count()
    readers = [asyncio.create_task(read_log(site.engine, container)) for _ in range(200)]

    async with asyncio.timeout(30):
        await site.engine.ping()
        assert threading.active_count() <= threads + 1
        await site.engine.kill(container)
        logs = await asyncio.gather(*readers)

    assert all(log[STDOUT] == b"up\n" for log in logs)


async def test_a_log_that_breaks_off_is_not_one_that_has_ended(tmp_path: Path) -> None:
    """The engine goes away in the middle of an answer."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        frame = b"\x01\0\0\0\0\0\0\x2e2026-01-01T00:00:00.000000000Z some text here\n"
        writer.write(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(frame), frame)
        )
        writer.close()

    server = await asyncio.start_unix_server(answer, tmp_path / "engine.sock")
    engine = DockerEngine(f"unix://{tmp_path}/engine.sock", InstanceId("test"))
    async with aclosing(engine.log(GONE)) as chunks:
        read = (await anext(chunks)).data
        with pytest.raises(Unavailable):
            await anext(chunks)
    server.close()
    await engine.close()

    assert read == b"some text here\n"


async def test_a_signal_reaches_the_first_process_alone(site: Site) -> None:
    command = "trap 'echo heard' USR1; sh -c \"trap 'echo never' USR1; while :; do sleep 0.1; done\" & echo up; wait; wait"
    container, ear = await site.started("/bin/sh", "-c", command)
    await ear.until(lambda ear: b"up" in ear.heard[STDOUT])

    await site.engine.signal(container, "USR1")
    await ear.until(lambda ear: b"heard" in ear.heard[STDOUT])
    await site.engine.kill(container)
    await site.engine.exited(container)
    await ear.end()
    await site.engine.signal(container, "USR1")
    await site.engine.remove(container)
    await site.engine.signal(container, "USR1")

    assert bytes(ear.heard[STDOUT]) == b"up\nheard\n"


async def test_a_container_is_found_by_its_whole_name(site: Site) -> None:
    options = await site.options(*WAITS)
    container = await site.engine.create(options)

    assert await site.engine.find(options.name) == container
    assert await site.engine.find(options.name[:-1]) is None
    assert await site.engine.find(container[:12]) is None
    await site.engine.remove(container)
    assert await site.engine.find(options.name) is None


async def test_an_end_is_told_of_a_container_that_was_found(site: Site) -> None:
    """It was made before this process began to listen, as far as the engine's client knows."""
    options = await site.options("/bin/sh", "-c", "exit 3")
    await site.engine.create(options)
    found = await site.engine.find(options.name)
    assert found is not None
    await site.engine.start_container(found)

    await site.engine.exited(found)

    assert (await site.engine.state(found)).exit_code == 3


async def test_there_is_no_log_of_what_is_gone(site: Site) -> None:
    container, _ = await site.started(*WAITS)
    await site.engine.remove(container)

    assert await read_log(site.engine, container) == {STDOUT: b"", STDERR: b""}


async def test_the_size_of_what_was_written_is_told_where_it_is_asked_for(site: Site) -> None:
    container, ear = await site.started("/bin/sh", "-c", "head -c 300000 /dev/zero >big; echo; read -r _")
    await ear.until(lambda ear: bool(ear.heard[STDOUT]))

    size = (await site.engine.state(container, with_size=True)).disk_bytes

    assert size is not None
    assert size >= 300_000
    assert (await site.engine.state(container)).disk_bytes is None


async def test_sandboxes_are_listed_by_instance_running_or_not(site: Site) -> None:
    options = await site.options(*WAITS)
    container = await site.engine.create(options)
    running, _ = await site.started(*WAITS)
    assert len(await site.engine.sandboxes(site.instance)) == 2
    await site.engine.remove(running)

    assert await site.engine.sandboxes(site.instance) == [(container, SandboxId(options.labels[SANDBOX]))]
    assert await site.engine.sandboxes(InstanceId("another")) == []


async def test_a_container_with_our_labels_and_another_name_is_not_ours(site: Site) -> None:
    """An image's labels are merged into its containers': they prove nothing."""
    options = await site.options(*WAITS)
    await site.engine.create(replace(options, name=f"{options.name}-not"))

    assert await site.engine.sandboxes(site.instance) == []


@pytest.mark.docker
async def test_a_foreign_container_of_an_image_with_our_labels_is_not_ours(real: Site) -> None:
    name = f"chaser-test-{real.instance.lower()}:labelled"
    labels = {INSTANCE: real.instance, SANDBOX: "sbx_foreign"}
    changes = [word for key, value in labels.items() for word in ("--change", f"LABEL {key}={value}")]
    base = docker("create", "--label", f"{INSTANCE}={real.instance}", real.image.id, "true")
    docker("commit", *changes, base, name)
    try:
        docker("create", "--name", f"foreign-{real.instance}", name, "true")

        assert await real.engine.sandboxes(real.instance) == []
    finally:
        docker("rm", "--force", f"foreign-{real.instance}")
        docker("rmi", "--force", name)


async def test_an_image_is_told_from_none(site: Site) -> None:
    assert await site.engine.image("chaser-test/no-such-image:1") is None
    found = await site.engine.image("chaser-small:test")
    assert found is not None
    assert found.id == site.image.id
    assert found.labels == {"chaser.test": "image"}


async def test_a_sandbox_of_an_image_that_is_gone_is_refused(site: Site) -> None:
    gone = replace(site.image, id="sha256:" + "0" * 64)

    with pytest.raises(Refused) as refused:
        await site.engine.create(await site.options(image=gone))

    assert refused.value.reason is Reason.IMAGE_NOT_FOUND


async def test_an_engine_that_does_not_answer_is_not_one_without_the_container(faulty: Site) -> None:
    container, _ = await faulty.started(*WAITS)
    assert isinstance(faulty.engine, FakeEngine)
    faulty.engine.away = True

    await expect_unavailable(faulty.engine, container)

    faulty.engine.away = False
    assert (await faulty.engine.state(container)).cause is ExitCause.RUNNING


def test_a_socket_on_which_nobody_listens_is_not_an_engine_without_the_container(tmp_path: Path) -> None:
    async def ask() -> None:
        engine = DockerEngine(f"unix://{tmp_path}/nobody.sock", InstanceId("test"))
        try:
            await expect_unavailable(engine, GONE)
        finally:
            await engine.close()

    with warnings.catch_warnings():
        # Where connecting fails, the SDK leaves its socket to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        asyncio.run(ask())
        for thread in threading.enumerate():
            if thread.name.startswith("engine"):
                thread.join()
        gc.collect()


async def expect_unavailable(engine: Engine, container: ContainerId) -> None:
    calls = (
        engine.ping,
        engine.info,
        lambda: engine.image("chaser-small:test"),
        lambda: engine.state(container),
        lambda: engine.kill(container),
        lambda: engine.remove(container),
        lambda: engine.start_container(container),
        lambda: engine.attach(container, Ear()),
        lambda: engine.sandboxes(InstanceId("test")),
        lambda: engine.signal(container, "USR1"),
        lambda: engine.find("chaser-never-made"),
        lambda: read_log(engine, container),
    )
    for call in calls:
        with pytest.raises(Unavailable) as unavailable:
            await call()
        assert unavailable.value.reason is Reason.ENGINE_UNAVAILABLE


def test_names_are_made_from_sandbox_ids() -> None:
    assert container_name(SandboxId("sbx_1")) == "chaser-1"
