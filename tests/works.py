"""The queue at work: the real dispatcher, driver and recovery on a real SQLite store and the shipped fake engine."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from chaser.clock import Clock, SystemClock
from chaser.errors import Refused
from chaser.ids import JobId, KeyId, WorkerId, new_id, new_job_id
from chaser.jobs.completion import Completion
from chaser.jobs.dispatcher import Dispatcher
from chaser.jobs.driver import Driver
from chaser.jobs.intake import Intake
from chaser.jobs.job import Job, NewJob, Status, Verdict
from chaser.jobs.kind import Kind
from chaser.jobs.kinds.exec import Exec, ExecAsk, LimitsAsk, admit
from chaser.jobs.ports import Created, Stream
from chaser.jobs.reason import Reason
from chaser.jobs.recovery import Recovery
from chaser.sandboxes.ending import Ending
from chaser.sandboxes.engine import Engine, Image
from chaser.sandboxes.engines.fake import FakeEngine
from chaser.sandboxes.host import Host
from chaser.sandboxes.launcher import Deadlines, Launcher
from chaser.sandboxes.networks import BridgeReady, EngineNetworks
from chaser.sandboxes.output import OutputLimits
from chaser.sandboxes.removals import Removals
from chaser.sandboxes.spec import Isolation, Launch, Limits, Network, Profile, PullPolicy, SandboxSpec
from chaser.sandboxes.traffic import Traffic
from chaser.store.engines import sqlite_url
from chaser.store.sealing import SealingKey
from chaser.store.store import Store, open_store
from tests.engines import IMAGE, REFERENCE

LIMITS = Limits(cpus=1, memory_bytes=1 << 28, disk_bytes=1 << 30)
PROFILE = Profile(
    name="default",
    image=REFERENCE,
    isolation=Isolation.STANDARD,
    network=Network.NONE,
    limits=LIMITS,
    maxima=LIMITS,
    runner_image=REFERENCE,
    runner_isolation=Isolation.SUDO,
)
PROFILES = {"default": PROFILE}
SEALING = SealingKey(bytes(range(32)))


async def uncapped(key_id: KeyId) -> int | None:
    return None


@dataclass(frozen=True)
class Present:
    """The images that the engine has; no registry."""

    engine: Engine

    async def ensure(self, reference: str, policy: PullPolicy, registries: frozenset[str] | None) -> Image:
        found = await self.engine.image(reference)
        if found is None:
            raise Refused(Reason.IMAGE_NOT_FOUND, f"There is no image {reference}.")
        return found


class NoBridge:
    """The network of a machine that offers one without rules of its own."""

    async def ensure(self) -> BridgeReady:
        return BridgeReady("bridge")

    async def retire(self) -> None: ...


@dataclass
class Watchful:
    """The kind under test, which says what was asked of it."""

    kind: Exec
    faults: list[Exception] = field(default_factory=list[Exception])
    """What `launch` raises, in turn."""
    settled: list[tuple[JobId, int]] = field(default_factory=list[tuple[JobId, int]])

    @property
    def name(self) -> str:
        return self.kind.name

    @property
    def patient(self) -> bool:
        return self.kind.patient

    def spec(self, job: Job) -> SandboxSpec:
        return self.kind.spec(job)

    async def launch(self, job: Job) -> Launch:
        if self.faults:
            raise self.faults.pop(0)
        return await self.kind.launch(job)

    async def settle(self, job: Job) -> None:
        self.settled.append((job.id, job.attempt))
        await self.kind.settle(job)

    def verdict(self, job: Job, ending: Ending) -> Verdict:
        return self.kind.verdict(job, ending)


@dataclass
class Works:
    """One start of a service, on a store and an engine that outlive it."""

    store: Store
    engine: FakeEngine
    kind: Watchful
    host: Host
    completion: Completion
    dispatcher: Dispatcher
    intake: Intake
    recovery: Recovery
    clock: Clock
    worker: WorkerId
    loop: "asyncio.Task[None] | None" = None

    def start(self) -> None:
        self.loop = asyncio.create_task(self.dispatcher.run(), name="dispatcher")

    async def stop(self) -> None:
        """As the service stops: it lets go of what runs."""
        if self.loop is not None:
            self.loop.cancel()
            await asyncio.gather(self.loop, return_exceptions=True)
        await self.dispatcher.stop()
        await self.host.removals.drain(10)

    async def submit(self, command: str, **changes: Any) -> JobId:  # noqa: ANN401  # the fields of a value object, checked by it
        """A job of one command. `changes` are fields of `ExecAsk` or of `NewJob`."""
        of_job = {name: changes.pop(name) for name in list(changes) if name not in ExecAsk.__slots__}
        fields: dict[str, Any] = {"timeout": timedelta(seconds=60), **changes}
        ask = ExecAsk(command, **fields)
        admitted = admit(ask, PROFILES)
        now = self.clock.now()
        plain = NewJob(
            new_job_id(now), Exec.name, admitted.input, admitted.secrets, now, run_at=now, queue_until=None
        )
        created = await self.intake.submit(replace(plain, **of_job))
        assert isinstance(created, Created)
        return created.job.id

    async def until(self, job_id: JobId, enough: Callable[[Job], bool]) -> Job:
        with self.completion.watch(job_id) as watch:
            while True:
                await watch.wait()
                job = await self.store.jobs.get(job_id)
                assert job is not None
                if enough(job):
                    return job

    async def ended(self, job_id: JobId) -> Job:
        return await self.until(job_id, lambda job: job.status.ended)

    async def running(self, job_id: JobId) -> Job:
        return await self.until(job_id, lambda job: job.status is Status.RUNNING)

    async def text(self, job_id: JobId, stream: Stream = Stream.OUTPUT) -> bytes:
        frames = await self.store.logs.read(job_id, 0, 1 << 30)
        return b"".join(frame.data for frame in frames if frame.stream is stream)

    async def printed(self, job_id: JobId, word: bytes) -> None:
        with self.completion.watch(job_id) as watch:
            while word not in await self.text(job_id):
                await watch.wait()


def works(
    store: Store,
    engine: FakeEngine,
    spool: Path,
    *,
    clock: Clock | None = None,
    max_running: int = 4,
    cap_of: Callable[[KeyId], Awaitable[int | None]] = uncapped,
    held: Callable[[], str | None] = lambda: None,
    deadlines: Deadlines | None = None,
    output: OutputLimits | None = None,
) -> Works:
    clock = clock or SystemClock()
    worker = WorkerId(new_id("wrk", SystemClock().now()))
    traffic, completion = Traffic(), Completion()
    removals = Removals(engine, clock, store.jobs.sandbox_gone, traffic)
    launcher = Launcher(
        engine,
        store.instance_id,
        traffic=traffic,
        max_starting=4,
        deadlines=deadlines or Deadlines(),
        log_max_bytes=1 << 26,
    )
    host = Host(engine, Present(engine), EngineNetworks(NoBridge()), launcher, removals, disk_interval=0.02)
    kind = Watchful(Exec(PROFILES))
    kinds: dict[str, Kind] = {kind.name: kind}
    driver = Driver(kinds, store.jobs, store.logs, host, completion, clock, output or OutputLimits(), spool)
    dispatcher = Dispatcher(
        store.jobs, driver, completion, clock, worker, max_running=max_running, cap_of=cap_of, held=held
    )
    intake = Intake(store.jobs, completion, clock, wake=dispatcher.wake, stop_running=dispatcher.stop_running)
    recovery = Recovery(kinds, store.jobs, host, completion, clock, worker, wake=dispatcher.wake)
    return Works(store, engine, kind, host, completion, dispatcher, intake, recovery, clock, worker)


@dataclass
class Town:
    """A store and an engine, and the services that were started on them."""

    store: Store
    engine: FakeEngine
    spool: Path
    stack: AsyncExitStack

    async def works(self, *, start: bool = True, **settings: Any) -> Works:  # noqa: ANN401  # the fields of a value object, checked by it
        """One more start of a service. `settings` are those of `works`."""
        made = works(self.store, self.engine, self.spool, **settings)
        self.stack.push_async_callback(made.stop)
        if start:
            made.start()
        return made


@asynccontextmanager
async def town(tmp_path: Path) -> AsyncGenerator[Town]:
    store = open_store(sqlite_url(tmp_path / "chaser.db"), [SEALING], SystemClock())
    engine = FakeEngine({REFERENCE: IMAGE})
    spool = tmp_path / "spool"
    spool.mkdir()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        stack.push_async_callback(engine.close)
        yield Town(store, engine, spool, stack)


SMALL_DISK = LimitsAsk(disk_bytes=100_000)
