"""One attempt of a job that runs in a sandbox: made anew, or taken over from a process that is gone, to its ending.

Each side effect lies between two writes: the sandbox is named before it is made, the hand-over is noted, with all that
another process would need to go on, before it is sent.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Protocol

import structlog

from chaser.clock import Clock
from chaser.errors import Unavailable
from chaser.ids import JobId, SandboxId, new_sandbox_id
from chaser.jobs.completion import Completion
from chaser.jobs.insist import insist
from chaser.jobs.job import Status
from chaser.jobs.kind import Ear, InputT, SandboxKind
from chaser.jobs.ledger import Ledger, milliseconds
from chaser.jobs.logs import Frame, LogStore
from chaser.jobs.ports import Claim, Fence, JobStore, Progress, SandboxRow, Stay
from chaser.jobs.reason import Reason
from chaser.sandboxes.courier import Collected
from chaser.sandboxes.ending import Ending, NotBegun, Vanished
from chaser.sandboxes.engine import ContainerId, Image
from chaser.sandboxes.host import Host
from chaser.sandboxes.labels import container_name
from chaser.sandboxes.launcher import Prepared
from chaser.sandboxes.output import Output, OutputLimits
from chaser.sandboxes.spec import Files, RootFile, SandboxSpec, Terms
from chaser.sandboxes.stop import Stop, StopRequested

CLEAR = timedelta(seconds=5)
"""How long an attempt waits for the sandbox of the one before it to be gone."""

log = structlog.stdlib.get_logger()
Begun = Callable[[], Awaitable[None]]
Follow = Callable[[Output, Begun], Awaitable[Ending | NotBegun]]


class Lost(Exception):  # not an error: it unwinds an attempt
    """Somebody else works on the row."""


def held(fence: Fence) -> None:
    """Raises `Lost`."""
    if fence is Fence.LOST:
        raise Lost


class Courier(Protocol):
    """Brings files into a sandbox that waits, and fetches them from one that has ended."""

    async def deliver(self, container: ContainerId, files: Files, spec: SandboxSpec, image: Image) -> None:
        """Raises `Refused(input_unusable)`."""
        ...

    async def plant(self, container: ContainerId, files: Sequence[RootFile]) -> None:
        """Raises `Refused(input_unusable)`."""
        ...

    async def collect(
        self, container: ContainerId, job_id: JobId, files: Files, image: Image | None
    ) -> Collected:
        """What was found and kept. May run twice. Raises `Unavailable` where the store does not answer; an engine that
        is away too long costs the artifacts, which the answer says, and not the job's end."""
        ...


@dataclass(frozen=True, slots=True)
class Handed:
    """A sandbox that has been, or is being, handed its launch, and what must be known to see it to its end."""

    sandbox: SandboxId
    container: ContainerId
    terms: Terms
    progress: Progress
    """How far its output is stored already."""
    spec: SandboxSpec
    files: Files | None
    ear: Ear | None


class Attempts:
    def __init__(
        self,
        store: JobStore,
        logs: LogStore,
        host: Host,
        courier: Courier,
        completion: Completion,
        clock: Clock,
        output_limits: OutputLimits,
        spool: Path,
    ) -> None:
        """`spool` is a folder for output that waits for the store."""
        self._store = store
        self._logs = logs
        self._host = host
        self._courier = courier
        self._completion = completion
        self._clock = clock
        self._output_limits = output_limits
        self._spool = spool

    async def make(
        self, claim: Claim, kind: SandboxKind[InputT], stop: Stop, ledger: Ledger
    ) -> Ending | NotBegun:
        """A new sandbox, from its image to its ending."""
        await kind.begins(claim.job)
        spec, files = kind.spec(claim.job), kind.files(claim.job)
        await self._clear(claim)
        prepared = await stop.guard(self._prepare(claim, spec, ledger))
        try:
            assert ledger.image is not None
            if files is not None:
                await stop.guard(self._courier.deliver(prepared.container, files, spec, ledger.image))
            launch = await stop.guard(kind.launch(claim.job, ledger.image))
            await stop.guard(self._courier.plant(prepared.container, launch.root_files))
            terms = launch.terms(secrets.token_hex(16))
            start = Progress(seq=await self._logs.last_seq(claim.job.id))
            await self._note_hand_over(claim, terms, ledger)
            return await self._follow(
                claim,
                Handed(
                    prepared.id,
                    prepared.container,
                    terms,
                    start,
                    spec,
                    files,
                    kind.ear(claim.job, partial(self._courier.plant, prepared.container)),
                ),
                stop,
                ledger,
                lambda output, begun: self._host.launcher.run(prepared, launch, terms, output, stop, begun),
            )
        finally:
            prepared.attachment.close()

    async def _note_hand_over(self, claim: Claim, terms: Terms, ledger: Ledger) -> None:
        """From the first moment of it the sandbox is the row's: a stop of this service does not undo a write."""
        ledger.handed_over = True
        try:
            held(await self._store.hand_over(claim, terms, self._clock.now()))
        except (Lost, Unavailable):
            ledger.handed_over = False
            raise

    async def take_over(
        self, claim: Claim, kind: SandboxKind[InputT], stay: Stay, stop: Stop, ledger: Ledger
    ) -> Ending | NotBegun:
        """The sandbox that another process has handed its launch, from where that process has stored its output to."""
        assert stay.terms is not None
        terms, sandbox = stay.terms, stay.row.id
        ledger.sandbox_id, ledger.handed_over, ledger.taken_over = sandbox, True, True
        ledger.warm = stay.row.created_at < claim.job.queued_at
        container = await self._found(sandbox, stop)
        if container is None:
            stop.check()
            return Vanished(
                "The engine no longer knows the sandbox; somebody removed it.", stay.progress.steps
            )
        spec, files = kind.spec(claim.job), kind.files(claim.job)
        ledger.image = await insist(lambda: self._host.engine.image(spec.image))
        # Where nothing of this attempt is stored yet, its frames follow those of the attempt before.
        last = await insist(lambda: self._logs.last_seq(claim.job.id))
        progress = replace(stay.progress, seq=last)
        return await self._follow(
            claim,
            Handed(
                sandbox,
                container,
                terms,
                progress,
                spec,
                files,
                kind.ear(claim.job, partial(self._courier.plant, container)),
            ),
            stop,
            ledger,
            lambda output, begun: self._host.launcher.resume(
                sandbox,
                container,
                terms,
                progress,
                output,
                stop,
                begun,
                running_since=claim.job.started_at,
            ),
        )

    async def _found(self, sandbox: SandboxId, stop: Stop) -> ContainerId | None:
        """Where the engine answers, also for an end that was asked for: what was printed before it is read yet."""
        name = container_name(sandbox)
        with suppress(Unavailable):
            return await self._host.engine.find(name)
        return await stop.guard(insist(lambda: self._host.engine.find(name)))

    async def _clear(self, claim: Claim) -> None:
        """The sandbox of an earlier attempt goes first. An engine that is away is not waited for."""
        if claim.attempt == 1:
            return
        earlier = await self._store.earlier_sandbox(claim.job.id)
        if earlier is not None:
            await self.cleared(earlier)

    async def cleared(self, sandbox: SandboxId) -> None:
        try:
            async with asyncio.timeout(CLEAR.total_seconds()):
                await self._host.removals.removed(sandbox)
        except TimeoutError:
            return  # the store refuses to name a second one, which is another attempt's matter

    async def _prepare(self, claim: Claim, spec: SandboxSpec, ledger: Ledger) -> Prepared:
        at = self._clock.monotonic()
        ledger.image = await self._host.images.ensure(spec.image, spec.pull, spec.registries)
        ledger.pull_ms = ledger.since(at)
        at = self._clock.monotonic()
        network = await self._host.networks.named(spec.network)
        prepared = await self._taken(claim, spec, network, ledger)
        if prepared is None:
            row = await self._named(claim)
            ledger.sandbox_id = row.id
            volumes = await self._host.volumes.ready(row.id, spec)
            prepared = await self._host.launcher.prepare(row.id, spec, ledger.image, network, volumes)
        ledger.prepare_ms = ledger.since(at)
        return prepared

    async def _taken(self, claim: Claim, spec: SandboxSpec, network: str, ledger: Ledger) -> Prepared | None:
        """One that was made ahead, which is the row's from here on; none: there is none for this."""
        assert ledger.image is not None
        while (ready := self._host.pool.take(spec, ledger.image, network)) is not None:
            ledger.sandbox_id, given = ready.id, None
            try:
                given = await self._store.assign_sandbox(claim, ready.id)
            finally:
                if given is not Fence.HELD:
                    ready.attachment.close()
            if given is not None:
                held(given)
                ledger.warm = True
                return ready
            self._host.removals.remove(ready.id)
            ledger.sandbox_id = None
        return None

    async def _named(self, claim: Claim) -> SandboxRow:
        now = self._clock.now()
        row = SandboxRow(
            new_sandbox_id(now), claim.job.id, claim.attempt, claim.worker, await self._host.engine_id(), now
        )
        held(await self._store.name_sandbox(claim, row))
        return row

    async def _follow(
        self, claim: Claim, handed: Handed, stop: Stop, ledger: Ledger, follow: Follow
    ) -> Ending | NotBegun:
        """Watch it to its end, and take from it what was asked for. When this returns, its log is in the store."""
        from_here = begun_at = self._clock.monotonic()

        async def begun() -> None:
            nonlocal begun_at
            begun_at = self._clock.monotonic()
            if not ledger.taken_over:
                ledger.start_ms = round((begun_at - from_here) * 1000)
            now = self._clock.now()
            held(await insist(lambda: self._store.begin(claim, now)))
            self._completion.changed(claim.job.id)

        lost = Stop()
        output = self._output(claim, handed, stop, lost)
        watches = self._host.watches(handed.sandbox, handed.container, handed.spec, stop)
        try:
            # Where the row is lost, the sandbox is another's, who goes on with it: following ends, and touches nothing.
            ending = await lost.guard(follow(output, begun))
            ledger.run_ms = self._run_ms(claim, ledger, begun_at)
            await output.close()
        except StopRequested as request:
            raise Lost from request
        finally:
            for watch in watches:
                watch.cancel()
            output.abandon()
        ledger.output_bytes = output.total_bytes
        files = handed.files
        if files is not None and files.artifacts and not isinstance(ending, NotBegun):
            ledger.collected = await insist(
                lambda: self._courier.collect(handed.container, claim.job.id, files, ledger.image)
            )
        return ending

    def _run_ms(self, claim: Claim, ledger: Ledger, begun_at: float) -> int:
        since = claim.job.started_at
        if claim.job.status is Status.RUNNING and since is not None:
            return milliseconds(self._clock.now() - since)
        return ledger.since(begun_at)

    def _output(self, claim: Claim, handed: Handed, stop: Stop, lost: Stop) -> Output:
        async def append(frames: Sequence[Frame], progress: Progress) -> Fence:
            fence = await self._logs.append(claim, frames, progress)
            self._completion.changed(claim.job.id)
            if handed.ear is not None and fence is Fence.HELD:
                await handed.ear(frames)
            return fence

        limit = self._output_limits.kill_bytes
        flood = f"It printed more than the {limit} bytes that a run may print, and was killed."
        return Output(
            self._output_limits,
            handed.terms.masked,
            self._clock,
            append,
            self._spool,
            start=handed.progress,
            attempt=claim.attempt,
            on_flood=lambda: stop.request(Reason.OUTPUT_LIMIT, flood),
            on_lost=lambda: lost.request(Reason.HOST_LOST, "Somebody else works on this job."),
        )
