"""A container of the fake engine: a local process, its three pipes, and the channel to it."""

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from chaser.sandboxes.boot import KILL_ALL, SCRATCH
from chaser.sandboxes.engine import Chunk, ContainerId, ContainerOptions, ContainerState, ExitCause, Receiver

BLOCK = 65536

KILL_SESSION = (
    "_c_a=1; for _c_f in /proc/[0-9]*/stat; do "
    'read -r _c_p _c_g _c_z _c_g _c_g _c_b _c_g <"$_c_f" && [ "$_c_b" = $$ ] && [ "$_c_p" != $$ ] && '
    '[ "$_c_z" != Z ] && kill -KILL "$_c_p" && _c_a=0; done; [ $_c_a = 0 ]'
)
"""What stands for `KILL_ALL`: it ends the processes of the boot script's session (proc(5)), which a container of its own
here is."""


@dataclass(eq=False)
class FakeContainer:
    """One container, and the process in it."""

    id: ContainerId
    options: ContainerOptions
    home: Path
    """Its working directory, and what it has of a /dev/shm."""
    shell: str
    mounts: dict[str, str] = field(default_factory=dict[str, str])
    """The directories of its volumes, by the path at which they are mounted."""
    state: ContainerState = field(default=ContainerState(ExitCause.NEVER_STARTED))
    chunks: list[Chunk] = field(default_factory=list[Chunk])
    attachment: "FakeAttachment | None" = None
    process: asyncio.subprocess.Process | None = None
    life: "asyncio.Task[None] | None" = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def change(self) -> None:
        """Wake all who wait for this container."""
        self.changed.set()
        self.changed = asyncio.Event()

    def kill(self) -> None:
        if self.process is not None and self.state.cause is ExitCause.RUNNING:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def signal(self, which: signal.Signals) -> None:
        """As docker-init passes it on: to its child alone."""
        if self.process is not None and self.state.cause is ExitCause.RUNNING:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(which)

    def printed(self, pipe: int, data: bytes) -> None:
        self.chunks.append(Chunk(pipe, data, datetime.now(UTC)))
        self.change()
        if self.attachment is not None:
            self.attachment.printed(pipe, data)

    def located(self, message: bytes) -> bytes:
        """`message` with this container's own places: for the boot script's scratch, since containers here share one
        /dev/shm, and for its volumes. And with what ends the processes of this container alone: it shares its process
        ids with the whole machine."""
        for path, place in {SCRATCH: str(self.home / "scratch"), **self.mounts}.items():
            message = message.replace(path.encode(), place.encode())
        return message.replace(KILL_ALL.encode(), KILL_SESSION.encode()).replace(
            b"/bin/sh", self.shell.encode()
        )


class FakeAttachment:
    """The channel to one container. `cut_input` is how many bytes of a message it lets through before it is lost."""

    def __init__(self, container: FakeContainer, receiver: Receiver, cut_input: int | None) -> None:
        self._container = container
        self._receiver = receiver
        self._output_left: int | None = None
        self._input_left = cut_input
        self._closed = False

    async def send(self, message: bytes) -> None:
        process = self._container.process
        if self._closed or process is None or process.stdin is None:
            return
        process.stdin.write(self._container.located(message[: self._input_left]))
        if self._input_left is not None and self._input_left < len(message):
            self.close()
            return
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            await process.stdin.drain()
        process.stdin.close()

    def close(self) -> None:
        """What the engine does when a client is gone: with StdinOnce it closes the container's stdin."""
        if self._closed:
            return
        self._closed = True
        process = self._container.process
        if process is not None and process.stdin is not None:
            process.stdin.close()
        asyncio.get_running_loop().call_soon(self._receiver.disconnected)

    def cut(self, after: int) -> None:
        self._output_left = after
        if not after:
            self.close()

    def printed(self, pipe: int, data: bytes) -> None:
        if self._closed:
            return
        self._receiver.received(pipe, data[: self._output_left])
        if self._output_left is not None:
            self._output_left -= len(data)
            if self._output_left <= 0:
                self.close()


async def pump(container: FakeContainer, pipe: int, stream: asyncio.StreamReader) -> None:
    while data := await stream.read(BLOCK):
        container.printed(pipe, data)


async def process_ended(pid: int) -> None:
    """Until the process has ended, whoever still holds its pipes (pidfd_open(2))."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return  # and has been waited for already
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
