"""The HTTP API as a real server on loopback, on a real store, with the test in the dispatcher's place."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware

from chaser import keys
from chaser.api.context import (
    Admission,
    Api,
    Counting,
    GitHubParts,
    Held,
    Ping,
    Rules,
    WorkspaceParts,
    admit_all,
    nothing_held,
)
from chaser.api.middleware import RequestIdentity
from chaser.api.problems import exception_handlers
from chaser.api.routes import routes
from chaser.api.workspace_access import WorkspaceAccess
from chaser.clock import Clock, SystemClock
from chaser.errors import Refused, Unavailable
from chaser.ids import (
    JobId,
    KeyId,
    SandboxId,
    WorkerId,
    new_id,
    new_sandbox_id,
)
from chaser.jobs.completion import Completion
from chaser.jobs.deletion import Deletions
from chaser.jobs.intake import Intake
from chaser.jobs.job import Status, Verdict
from chaser.jobs.kind import AnyKind, ServiceKind
from chaser.jobs.kinds.table import kinds
from chaser.jobs.kinds.workspaces import workspace_kinds
from chaser.jobs.logs import Frame, Stream
from chaser.jobs.ports import Claim, Fence, Full, Progress, SandboxRow
from chaser.jobs.reason import Reason
from chaser.keys import ALL_SCOPES, ApiKey
from chaser.runners.budget import Spending
from chaser.runners.decide import Ours
from chaser.runners.enrolment import Enrolments
from chaser.runners.gate import Gate
from chaser.runners.labels import Grammar
from chaser.runners.latency_measures import LatencyMeasures
from chaser.runners.policy import Policy
from chaser.runners.registration import name_prefix
from chaser.runners.runner import Runner
from chaser.runners.screening import Screening
from chaser.sandboxes.artifacts import Artifacts
from chaser.sandboxes.engine import Engine
from chaser.sandboxes.engines.fake import FakeEngine
from chaser.sandboxes.spec import Isolation, Limits, Network, Profile, StepTerms, Streams, Terms
from chaser.store.sealing import generate
from chaser.store.store import Store, open_store
from tests.engines import IMAGE as SMALL
from tests.engines import REFERENCE, Site
from tests.rows import first
from tests.workshop import Workshop, equip

IMAGE = "chaser-default:latest"
LIMITS = Limits(cpus=2, memory_bytes=4 << 30, disk_bytes=20 << 30)
PROFILE = Profile(
    name="default",
    image=IMAGE,
    isolation=Isolation.STANDARD,
    network=Network.INTERNET,
    limits=LIMITS,
    maxima=Limits(cpus=4, memory_bytes=8 << 30, disk_bytes=40 << 30),
    runner_image=IMAGE,
    runner_isolation=Isolation.SUDO,
)
WORKER = WorkerId("wrk_test")
TERMS = Terms(
    "nonce",
    (StepTerms(timeout=None, may_fail=False, replaces_shell=False),),
    timedelta(minutes=1),
    Streams.MERGED,
    {},
)


@dataclass
class Hands:
    """The dispatcher's place: claims a job, writes its log, ends it, as the test says."""

    store: Store
    completion: Completion
    clock: Clock
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: asyncio.Queue[tuple[JobId, Reason]] = field(default_factory=asyncio.Queue[tuple[JobId, Reason]])
    seqs: dict[JobId, int] = field(default_factory=dict[JobId, int])

    async def take(self) -> Claim:
        """The next job, once there is one."""
        while True:
            claim = first(await self.store.jobs.claim(WORKER, self.clock.now(), Full()))
            if claim is not None:
                return claim
            await self.woken.wait()
            self.woken.clear()

    async def start(self) -> Claim:
        """The next job, running in a sandbox."""
        return await self.begin(await self.take())

    async def begin(self, claim: Claim) -> Claim:
        sandbox = SandboxRow(
            new_sandbox_id(self.clock.now()), claim.job.id, claim.attempt, WORKER, "engine", self.clock.now()
        )
        assert await self.store.jobs.name_sandbox(claim, sandbox) is Fence.HELD
        assert await self.store.jobs.hand_over(claim, TERMS, self.clock.now()) is Fence.HELD
        assert await self.store.jobs.begin(claim, self.clock.now()) is Fence.HELD
        self.completion.changed(claim.job.id)
        return claim

    async def print(
        self, claim: Claim, data: bytes, stream: Stream = Stream.OUTPUT, skipped: int = 0, step: int = 0
    ) -> None:
        seq = self.seqs.get(claim.job.id, 0) + 1
        self.seqs[claim.job.id] = seq
        frame = Frame(seq, stream, self.clock.now(), data, skipped, step, claim.attempt)
        assert await self.store.logs.append(claim, [frame], Progress(seq=seq)) is Fence.HELD
        self.completion.changed(claim.job.id)

    async def end(
        self,
        claim: Claim,
        *,
        status: Status = Status.SUCCEEDED,
        reason: Reason | None = None,
        message: str | None = None,
        exit_code: int | None = 0,
        output_bytes: int = 0,
        more: Mapping[str, object] | None = None,
    ) -> None:
        result: dict[str, object] = {
            "exit_code": exit_code,
            "output_bytes": output_bytes,
            "image": IMAGE,
            "image_digest": "sha256:" + "0" * 64,
            "session_id": SandboxId("sbx_test"),
            "timings": {
                "queue_ms": 1,
                "pull_ms": 0,
                "prepare_ms": 2,
                "start_ms": 3,
                "run_ms": 4,
                "total_ms": 10,
                "warm": False,
            },
            **(more or {}),
        }
        verdict = Verdict(status, reason, message, result)
        assert await self.store.jobs.finish(claim, verdict, self.clock.now()) is Fence.HELD
        self.completion.changed(claim.job.id)

    async def run(self, output: bytes = b"", *, exit_code: int = 0) -> Claim:
        """One whole job."""
        claim = await self.start()
        if output:
            await self.print(claim, output)
        await self.end(claim, exit_code=exit_code, output_bytes=len(output))
        return claim


@dataclass
class Service:
    api: Api
    app: Starlette
    store: Store
    hands: Hands
    url: str
    key: str
    http: httpx.AsyncClient
    shop: Workshop
    look: Callable[[], Awaitable[None]]
    """At the runs that are to be looked at."""

    async def perform(self) -> None:
        """The next job, done as the service does those that need no sandbox; another is only taken."""
        claim = await self.hands.take()
        if isinstance(self.api.kinds[claim.job.kind], ServiceKind):
            await self.do(claim)

    async def work(self) -> None:
        """The next job, whatever its kind."""
        claim = await self.hands.take()
        if isinstance(self.api.kinds[claim.job.kind], ServiceKind):
            await self.do(claim)
        else:
            await self.hands.end(await self.hands.begin(claim))

    async def do(self, claim: Claim) -> None:
        kind = self.api.kinds[claim.job.kind]
        assert isinstance(kind, ServiceKind)
        try:
            verdict = await kind.perform(claim.job)
        except (Refused, Unavailable) as error:
            verdict = Verdict(Status.FAILED, error.reason, error.message, {})
        assert await self.store.jobs.finish(claim, verdict, self.hands.clock.now()) is Fence.HELD
        self.hands.completion.changed(claim.job.id)

    async def key_with(self, **fields: object) -> str:
        """Another key, written into the store."""
        secret = keys.generate()
        await self.store.keys.add(_key(secret, fields))
        return secret.text


def _key(secret: keys.KeySecret, fields: Mapping[str, object]) -> ApiKey:
    given: dict[str, object] = {
        "id": KeyId(new_id("key", datetime.now(UTC))),
        "name": "test",
        "public": secret.public,
        "digest": secret.digest,
        "scopes": ALL_SCOPES,
        "created_at": datetime.now(UTC),
        **fields,
    }
    return ApiKey(**given)  # pyright: ignore[reportArgumentType] # the tests name the fields


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@asynccontextmanager
async def service(
    directory: Path,
    *,
    rules: Rules | None = None,
    pings: Mapping[str, Ping] | None = None,
    admission: Admission = admit_all,
    profiles: Mapping[str, Profile] | None = None,
    held: Held = nothing_held,
    clock: Clock | None = None,
    more_kinds: Sequence[AnyKind] = (),
    engine: Engine | None = None,
    counting: Sequence[Counting] = (),
    spendings: Sequence[Spending] = (),
) -> AsyncGenerator[Service]:
    """`engine` has what is in workspaces; else a fake one that goes with the service."""
    clock = clock or SystemClock()
    store = await asyncio.to_thread(open_store, f"sqlite:///{directory / 'chaser.db'}", [generate()], clock)
    completion = Completion()
    hands = Hands(store, completion, clock)
    intake = Intake(
        store.jobs,
        completion,
        clock,
        wake=hands.woken.set,
        expect=lambda at: None,
        stop_running=lambda job_id, reason: hands.stopped.put_nowait((job_id, reason)),
    )
    profiles = profiles or {"default": PROFILE}
    ours = Ours(Grammar(profiles), Policy(("*/*",)), name_prefix(store.instance_id))
    screening = Screening(
        store.screenings,
        lambda: None,
        ours,
        clock,
        awaken=intake.awaken,
        cancelled=lambda _: None,
    )
    for folder in ("uploads", "artifacts"):
        (directory / folder).mkdir()
    fake = FakeEngine({REFERENCE: SMALL})
    used = engine or fake
    shop = equip(Site(used, store.instance_id, SMALL, directory), store, directory)
    deletions = Deletions(store.workspaces, used, intake, completion)
    api = Api(
        jobs=store.jobs,
        logs=store.logs,
        keys=store.keys,
        uploads=shop.uploads,
        artifacts=Artifacts(store.artifacts, directory / "artifacts"),
        intake=intake,
        completion=completion,
        github=GitHubParts(
            store.demands,
            store.installations,
            store.passages,
            store.instance_id,
            lambda: spendings,
            screening.approve,
        ),
        profiles=profiles,
        kinds=kinds(
            profiles,
            (
                Runner(
                    profiles,
                    Enrolments(store.instance_id, lambda: None, store.runners, clock),
                    Gate(store.demands, ours),
                    lambda: None,
                    clock,
                ),
                *workspace_kinds(store.workspaces, shop.files, shop.snapshots, deletions, clock),
                *more_kinds,
            ),
        ),
        workspaces=WorkspaceAccess(store.workspaces, clock),
        workspace_parts=WorkspaceParts(store.workspaces, shop.files, shop.snapshots, deletions),
        clock=clock,
        version="0.0.0",
        rules=rules or Rules(),
        pings=pings or {"store": store.ping},
        counting=counting,
        looking=(store.tallies, LatencyMeasures(store.passages, clock)),
        admission=admission,
        held=held,
    )
    secret = keys.generate()
    await store.keys.add(_key(secret, {"name": "first"}))
    app = application(api)
    try:
        async with (
            _listening(app, api) as url,
            httpx.AsyncClient(base_url=url, headers=bearer(secret.text), timeout=60) as http,
        ):
            yield Service(api, app, store, hands, url, secret.text, http, shop, screening.look)
    finally:
        await shop.removals.drain(10)
        await fake.close()
        await store.close()


def application(api: Api) -> Starlette:
    return Starlette(
        routes=routes(api),
        middleware=[Middleware(RequestIdentity, clock=api.clock)],
        exception_handlers=exception_handlers(),
    )


@asynccontextmanager
async def _listening(app: Starlette, api: Api) -> AsyncGenerator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, log_config=None, access_log=False, timeout_graceful_shutdown=5, lifespan="off", ws="none"
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        api.stopping.set()
        server.should_exit = True
        await serving


@asynccontextmanager
async def played(script: Callable[[], Awaitable[object]]) -> AsyncGenerator[None]:
    """`script` again and again, in the background: a dispatcher for as long as the block lasts."""

    async def forever() -> None:
        while True:
            await script()

    playing = asyncio.create_task(forever())
    try:
        yield
    finally:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
