"""The enrolment of a job's runner with GitHub, from its first attempt to the last word of its registration; each step is
noted where it can be found after a crash."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from chaser.clock import Clock
from chaser.errors import Refused, Unavailable
from chaser.ids import InstanceId, JobId
from chaser.jobs.job import Job
from chaser.jobs.kind import Ear
from chaser.jobs.logs import Frame
from chaser.jobs.reason import Reason
from chaser.jobs.row import texts
from chaser.runners.ports import Runners
from chaser.runners.registration import Minted, Registrar, Removal, owner_in, runner_name

log = structlog.stdlib.get_logger()

LISTENING = b"Listening for Jobs"
"""What the runner prints once GitHub can give it a job.

https://github.com/actions/runner/blob/main/src/Runner.Listener/Runner.cs
"""
RETRY_WITHOUT_CREDENTIALS = 60.0
"""Seconds."""
_NO_REGISTRAR = (
    "GitHub asks for a runner, and there are no credentials to register one with: "
    "run `chaser github setup`, or set github.app_id and github.private_key."
)


class Enrolments:
    def __init__(
        self,
        instance: InstanceId,
        registrar: Callable[[], Registrar | None],
        runners: Runners,
        clock: Clock,
    ) -> None:
        """`registrar` is asked each time: credentials can come while the service runs."""
        self._instance = instance
        self._registrar = registrar
        self._runners = runners
        self._clock = clock
        self._released: set[JobId] = set()
        """Those whose registration was removed before their end."""
        self._minting: dict[JobId, asyncio.Task[Minted]] = {}

    def name(self, job: Job) -> str:
        return runner_name(self._instance, job.id, job.attempt)

    def possible(self) -> Registrar:
        """Raises `Unavailable(no_app_credentials)`."""
        registrar = self._registrar()
        if registrar is None:
            raise no_credentials()
        return registrar

    async def begins(self, job: Job) -> None:
        await self._runners.begun(job.id, job.attempt, self.name(job), self._clock.now())

    async def mint(self, job: Job) -> Minted:
        """Its sandbox is ready. Raises `Refused` and `Unavailable`.

        Whoever gives up waiting does not give up the mint: what GitHub has made can only be removed by the id in its answer.
        """
        minting = asyncio.create_task(self._mint(job), name=f"mint {job.id}")
        self._minting[job.id] = minting
        return await asyncio.shield(minting)

    async def _mint(self, job: Job) -> Minted:
        registrar, prepared_at = self.possible(), self._clock.now()
        labels = list(dict.fromkeys(label.lower() for label in texts(job.input, "labels")))
        minted = await registrar.mint(owner_in(job.input), self.name(job), labels)
        await self._runners.minted(job.id, job.attempt, minted.runner_id, prepared_at, self._clock.now())
        return minted

    def ear(self, job: Job) -> Ear:
        """Hears that the runner listens: a hint of the moment, which costs no question to GitHub."""
        said, known = b"", False

        async def heard(frames: Sequence[Frame]) -> None:
            nonlocal said, known
            if known:
                return
            said = said[-len(LISTENING) :] + b"".join(frame.data for frame in frames)
            if LISTENING in said:
                known = await self._listens(job)

        return heard

    async def _listens(self, job: Job) -> bool:
        try:
            await self._runners.online(job.id, job.attempt, self._clock.now())
        except Unavailable as error:
            log.warning("Could not note that a runner listens.", action="online_unnoted", error=error.message)
            return False
        return True

    async def release(self, job: Job) -> bool:
        """GitHub no longer wants this runner: its registration goes first, since only then can it be given no job any more.

        False: GitHub keeps it, since it has been given another job.
        """
        registrar, known = self._registrar(), await self._runners.of(job.id, job.attempt)
        if registrar is None or known is None or known.runner_id is None:
            return True  # GitHub has none of it yet, or nobody can be asked
        try:
            removal = await registrar.remove(owner_in(job.input), known.runner_id)
        except Refused as error:
            # The App was removed, say: nothing here serves that account any more.
            log.warning("GitHub does not let go of a runner.", action="unreleased", error=error.message)
            return True
        if removal is Removal.BUSY:
            return False
        self._released.add(job.id)
        return True

    async def settle(self, job: Job) -> None:
        """See that no registration outlives the sandbox. One that runs a job is GitHub's to end, and is left alone."""
        minting = self._minting.pop(job.id, None)
        if minting is not None:
            # How it went is in the row; its failure was the launch's.
            await asyncio.gather(minting, return_exceptions=True)
        if job.id in self._released:
            self._released.discard(job.id)
        elif not await self._gone(job):
            return
        await self._runners.removed(job.id, job.attempt, self._clock.now())

    async def _gone(self, job: Job) -> bool:
        registrar, known = self._registrar(), await self._runners.of(job.id, job.attempt)
        if known is not None and known.removed_at is not None:
            return True
        if registrar is None:
            return False
        try:
            runner_id = known and known.runner_id
            if runner_id is None:  # the answer to its mint was lost, or there was none
                left = await registrar.find(owner_in(job.input), self.name(job))
                if left is None:
                    return False  # it may be there all the same: lists lag, and the sweeps look again
                runner_id = left.runner_id
            return await registrar.remove(owner_in(job.input), runner_id) is not Removal.BUSY
        except Refused as error:
            # How the job ended is decided already, and this does not change it.
            raise Unavailable(error.reason, error.message) from error


def no_credentials() -> Unavailable:
    return Unavailable(Reason.NO_APP_CREDENTIALS, _NO_REGISTRAR, retry_after=RETRY_WITHOUT_CREDENTIALS)
