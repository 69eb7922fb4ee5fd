"""The queue at work: the real dispatcher, driver and reaper on a real SQLite store and the shipped fake engine."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from chaser.clock import Clock, SystemClock
from chaser.errors import Refused
from chaser.headroom import Headroom
from chaser.ids import JobId, KeyId, SandboxId, WorkerId, new_id, new_job_id
from chaser.jobs.attempt import Attempts
from chaser.jobs.caps import Caps
from chaser.jobs.completion import Completion
from chaser.jobs.dispatcher import Dispatcher
from chaser.jobs.driver import Driver
from chaser.jobs.intake import Intake
from chaser.jobs.job import NO_SECRETS, Job, NewJob, Status, Verdict
from chaser.jobs.kind import Admitted, AnyKind, Bounds, Ear, Plant, ServiceKind
from chaser.jobs.kinds.exec import Exec, ExecRequest
from chaser.jobs.lease import Lease
from chaser.jobs.logs import Frame, Stream
from chaser.jobs.partings import Partings
from chaser.jobs.ports import Created
from chaser.jobs.reaper import Reaper
from chaser.jobs.reason import Reason
from chaser.sandboxes.courier import Collected
from chaser.sandboxes.engine import ContainerId, Engine, Image
from chaser.sandboxes.engines.fake import FakeEngine
from chaser.sandboxes.host import Host
from chaser.sandboxes.launcher import Deadlines, Launcher
from chaser.sandboxes.networks import BridgeReady, EngineNetworks
from chaser.sandboxes.output import OutputLimits
from chaser.sandboxes.pool import Pool
from chaser.sandboxes.rack import wanted
from chaser.sandboxes.removals import Removals
from chaser.sandboxes.spec import (
    Files,
    Isolation,
    Launch,
    Limits,
    Network,
    Profile,
    PullPolicy,
    RootFile,
    SandboxSpec,
)
from chaser.sandboxes.stop import Stop
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
PROFILES = {"default": PROFILE, "other": replace(PROFILE, name="other")}
BOUNDS = Bounds(default_timeout=timedelta(seconds=60), max_timeout=timedelta(hours=1))
AMPLE_ROOM = Headroom(0, lambda: None, None)
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


class NoVolumes:
    """Sandboxes without volumes."""

    async def ready(self, sandbox: SandboxId, spec: SandboxSpec) -> Mapping[str, str]:
        return {}

    def watch(self, sandbox: SandboxId, spec: SandboxSpec, stop: Stop) -> "asyncio.Task[None] | None":
        return None


class NoFiles:
    """A courier with nothing to carry."""

    async def deliver(
        self, container: ContainerId, files: Files, spec: SandboxSpec, image: Image
    ) -> None: ...

    async def plant(self, container: ContainerId, files: Sequence[RootFile]) -> None: ...

    async def collect(
        self, container: ContainerId, job_id: JobId, files: Files, image: Image | None
    ) -> Collected:
        return Collected()


class Watchful(Exec):
    """The kind under test, which says what was asked of it."""

    def __init__(self, profiles: Mapping[str, Profile]) -> None:
        super().__init__(profiles)
        self.faults: list[Exception] = []
        """What `launch` raises, in turn."""
        self.settled: list[tuple[JobId, int]] = []
        self.outside = asyncio.Event()
        """Set while the outside answers."""
        self.outside.set()
        self.releases: list[bool | Exception] = []
        """What `release` answers, in turn; then that the run may end."""
        self.heard: list[bytes] = []

    async def launch(self, job: Job, image: Image) -> Launch:
        if self.faults:
            raise self.faults.pop(0)
        return await super().launch(job, image)

    def ear(self, job: Job, plant: Plant) -> Ear:
        async def heard(frames: Sequence[Frame]) -> None:
            self.heard += [frame.data for frame in frames]

        return heard

    async def release(self, job: Job) -> bool:
        match self.releases.pop(0) if self.releases else True:
            case bool() as answer:
                return answer
            case error:
                raise error

    async def settle(self, job: Job) -> None:
        await self.outside.wait()
        self.settled.append((job.id, job.attempt))


class NoInput(BaseModel):
    """An errand is always the same."""


class Errand(ServiceKind[NoInput]):
    """A kind that needs no sandbox."""

    name = "test.errand"
    description = "Does nothing."
    input = NoInput

    def admit(self, asked: NoInput, bounds: Bounds) -> Admitted:
        return Admitted({})

    async def perform(self, job: Job) -> Verdict:
        return Verdict(Status.SUCCEEDED, None, None, {"done": True})


@dataclass
class Works:
    """One start of a service, on a store and an engine that outlive it."""

    store: Store
    engine: FakeEngine
    kind: Watchful
    host: Host
    pool: Pool
    completion: Completion
    dispatcher: Dispatcher
    intake: Intake
    lease: Lease
    reaper: Reaper
    clock: Clock
    worker: WorkerId
    spool: Path
    loops: "list[asyncio.Task[None]]" = field(default_factory=list["asyncio.Task[None]"])

    def start(self) -> None:
        self.start_queue()
        self.loops.append(asyncio.create_task(self.pool.run(), name="pool"))

    def start_queue(self) -> None:
        """Alone: nothing is made ahead."""
        self.loops.append(asyncio.create_task(self.dispatcher.run(), name="dispatcher"))

    async def open(self) -> None:
        """Begin the lease; whoever had this seat before is known to be dead."""
        await self.lease.take()

    async def stop(self) -> None:
        """As the service stops: it lets go of what runs."""
        for loop in self.loops:
            loop.cancel()
        await asyncio.gather(*self.loops, return_exceptions=True)
        await self.dispatcher.stop()
        await self.lease.end()
        await self.host.removals.drain(10)

    async def submit(
        self,
        command: str,
        *,
        timeout: timedelta = timedelta(minutes=1),  # noqa: ASYNC109  # the command's
        **changes: Any,  # noqa: ANN401  # the fields of a value object, checked by it
    ) -> JobId:
        """A job of one command. `changes` are fields of `ExecRequest` or of `NewJob`."""
        of_job = {name: changes.pop(name) for name in list(changes) if name not in ExecRequest.model_fields}
        asked = ExecRequest.model_validate(
            {"command": command, "timeout_ms": timeout // timedelta(milliseconds=1), **changes}, strict=False
        )
        admitted = self.kind.admit(asked, BOUNDS)
        now = self.clock.now()
        plain = NewJob(
            new_job_id(now), Exec.name, admitted.input, admitted.secrets, now, None, profile=admitted.profile
        )
        created = await self.intake.submit(replace(plain, **of_job))
        assert isinstance(created, Created)
        return created.job.id

    async def errand(self) -> JobId:
        """A job that needs no sandbox."""
        now = self.clock.now()
        created = await self.intake.submit(NewJob(new_job_id(now), Errand.name, {}, NO_SECRETS, now, None))
        assert isinstance(created, Created)
        return created.job.id

    async def idle(self) -> None:
        """Until this process works on nothing."""
        while self.dispatcher.busy:
            await asyncio.wait(self.dispatcher.busy)

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
    caps: Caps = Caps(),  # noqa: B008 # a value
    seat: str | None = None,
    cap_of: Callable[[KeyId], Awaitable[int | None]] = uncapped,
    held: Callable[[], str | None] = lambda: None,
    deadlines: Deadlines | None = None,
    output: OutputLimits | None = None,
    min_warm: int = 0,
) -> Works:
    clock = clock or SystemClock()
    worker = WorkerId(new_id("wrk", SystemClock().now()))
    traffic, completion = Traffic(), Completion()
    removals = Removals(engine, clock, store.jobs.sandbox_gone, traffic)
    launcher = Launcher(
        engine,
        store.instance_id,
        clock=clock,
        traffic=traffic,
        max_starting=4,
        deadlines=deadlines or Deadlines(),
        log_max_bytes=1 << 26,
    )
    images, networks = Present(engine), EngineNetworks(NoBridge())
    pool = Pool(
        wanted([replace(PROFILE, min_warm=min_warm)]),
        engine,
        images,
        networks,
        launcher,
        removals,
        store.jobs,
        clock,
        worker,
        AMPLE_ROOM,
    )
    host = Host(engine, images, networks, NoVolumes(), launcher, removals, pool, disk_interval=0.02)
    kind = Watchful(PROFILES)
    kinds: dict[str, AnyKind] = {kind.name: kind, Errand.name: Errand()}
    limits = output or OutputLimits()
    attempts = Attempts(store.jobs, store.logs, host, NoFiles(), completion, clock, limits, spool)
    driver = Driver(kinds, store.jobs, attempts, removals, completion, clock)
    dispatcher = Dispatcher(
        store.jobs,
        driver,
        Partings(kinds, store.jobs, completion),
        completion,
        clock,
        worker,
        max_running=max_running,
        caps=caps,
        cap_of=cap_of,
        held=held,
    )
    intake = Intake(
        store.jobs,
        completion,
        clock,
        wake=dispatcher.wake,
        expect=dispatcher.expect,
        stop_running=dispatcher.stop_running,
    )
    reaper = Reaper(
        kinds,
        store.jobs,
        host,
        intake,
        completion,
        clock,
        worker,
        resume=dispatcher.resume,
        driven=dispatcher.driven,
        host_lost_after=timedelta(minutes=15),
    )
    lease = Lease(
        store.jobs,
        clock,
        worker,
        seat or worker,
        stop_running=dispatcher.stop_running,
        held=reaper.held,
    )
    return Works(
        store, engine, kind, host, pool, completion, dispatcher, intake, lease, reaper, clock, worker, spool
    )


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
        await made.open()
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


SMALL_DISK = {"disk": 100_000}
