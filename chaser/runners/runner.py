"""`github.runner`: one runner, owed to one workflow job of GitHub's.

GitHub may give our runner another job that its labels fit; so what is owed, and booked here, is the runner.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from pydantic import BaseModel, ConfigDict

from chaser.clock import Clock
from chaser.errors import Refused, Unavailable
from chaser.jobs.job import Job, Verdict
from chaser.jobs.kind import Admitted, Bounds, Ear, Output, Plant, SandboxKind
from chaser.jobs.logs import Frame
from chaser.jobs.reason import Reason
from chaser.jobs.row import optional_integer, optional_number, optional_text, text
from chaser.runners.ages import Ages
from chaser.runners.causes import cause
from chaser.runners.decide import KIND
from chaser.runners.enrolment import Enrolments, no_credentials
from chaser.runners.gate import Gate
from chaser.runners.hook import PATH, VARIABLE, Made, guarding, script
from chaser.runners.policy import Level
from chaser.runners.registration import owner_in
from chaser.runners.setup_info import SetupInfo, writing
from chaser.runners.versions import Ended, Standing, finding
from chaser.sandboxes.ending import Ending
from chaser.sandboxes.engine import Image
from chaser.sandboxes.spec import Launch, Limits, Profile, SandboxSpec, Step

RUN = "export ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE=1\nexec /home/runner/run.sh"
"""The one of its statuses that run.sh tells if it is asked to: see `chaser.runners.causes`."""
GRACE = timedelta(seconds=35)
"""The runner cancels its job at a SIGTERM, and waits up to 30 s for that: so the job's `always()` steps get their time.

https://github.com/actions/runner/blob/main/src/Runner.Listener/JobDispatcher.cs
"""
JIT_VARIABLE = "ACTIONS_RUNNER_INPUT_JITCONFIG"
"""The runner takes any argument from `ACTIONS_RUNNER_INPUT_<NAME>`, and removes it from its environment.

https://github.com/actions/runner/blob/main/src/Runner.Listener/CommandSettings.cs
"""

RETRY_TOO_OLD = 300.0
"""Seconds between two looks at an image whose runner is no longer served."""


class RunnerInput(BaseModel):
    """A workflow job of GitHub's that asks for a runner; more may stand beside this, for people to read."""

    model_config = ConfigDict(extra="allow")

    installation_id: int
    repository: str
    organization: str | None
    labels: Sequence[str]
    workflow_job_id: int
    profile: str
    cpus: float | None = None
    """What its label says of the size; none: as the profile says."""
    memory_bytes: int | None = None
    level: Level = Level.ORGANIZATION
    """The widest at which its runner may be registered."""
    guarded: bool = False
    """Whether GitHub may give the runner a job for which none would have been made."""
    refusal: str | None = None
    """Why the job is not run: then the runner is there to say so."""


class Runner(SandboxKind[RunnerInput]):
    """While there is no registrar its jobs wait, with `no_app_credentials`."""

    name = KIND
    description = "Runs one GitHub Actions runner; made by the service when GitHub asks for one."
    input = RunnerInput
    open = False
    output = Output.NONE
    patient = True
    asks_first = frozenset({Reason.CANCELLED_BY_GITHUB})

    def __init__(
        self,
        profiles: Mapping[str, Profile],
        enrolments: Enrolments,
        gate: Gate,
        ages: Callable[[], Ages | None],
        clock: Clock,
        public_url: str | None = None,
    ) -> None:
        """`ages` is asked each time: credentials can come while the service runs.

        `public_url` is where people find the service; none: it does not know.
        """
        self._profiles = profiles
        self._enrolments = enrolments
        self._gate = gate
        self._ages = ages
        self._clock = clock
        self._public_url = public_url

    def admit(self, asked: RunnerInput, bounds: Bounds) -> Admitted:
        return Admitted(asked.model_dump(mode="json"), profile=asked.profile)

    async def begins(self, job: Job) -> None:
        await self._enrolments.begins(job)

    def spec(self, job: Job) -> SandboxSpec:
        self._enrolments.possible()
        profile = self._profile(job)
        return replace(profile.runner, limits=_limits(job, profile))

    async def launch(self, job: Job, image: Image) -> Launch:
        profile, ages = self._profile(job), self._ages()
        if ages is None:
            raise no_credentials()
        _check_age(profile.runner_image, await ages.standing(owner_in(job.input), image))
        minted = await self._enrolments.mint(job)
        secret, root_files, command = {JIT_VARIABLE: minted.jit_config.reveal()}, (), RUN
        env: Mapping[str, str] = secret
        if minted.public or _guarded(job):
            env, root_files, command = {**env, VARIABLE: PATH}, (script(_made(job)),), guarding(RUN)
        command = writing(self._setup_info(job, profile, image)) + command
        step = Step(command, env=env, replaces_shell=True, grace=GRACE)
        return Launch((step,), profile.runner_timeout, root_files=root_files, masked=secret)

    def _setup_info(self, job: Job, profile: Profile, image: Image) -> SetupInfo:
        return SetupInfo(
            profile=profile.name,
            waited=self._clock.now() - job.created_at,
            reason=job.setback and job.setback.message,
            image=profile.runner_image,
            digest=image.digest or image.id,
            url=self._public_url and f"{self._public_url}/v1/jobs/{job.id}",
            refusal=optional_text(job.input, "refusal"),
        )

    def ear(self, job: Job, plant: Plant) -> Ear:
        listening = self._enrolments.ear(job)
        if not _may_ask(job):
            return listening
        asking = self._gate.ear(job, plant)

        async def hear(frames: Sequence[Frame]) -> None:
            await listening(frames)
            await asking(frames)

        return hear

    async def release(self, job: Job) -> bool:
        return await self._enrolments.release(job)

    async def settle(self, job: Job) -> None:
        await self._enrolments.settle(job)

    def verdict(self, job: Job, ending: Ending) -> Verdict:
        found = cause(ending)
        result = {"exit_code": found.exit_code, "runner_name": self._enrolments.name(job)}
        return Verdict(found.status, found.reason, found.message, result)

    def _profile(self, job: Job) -> Profile:
        name = text(job.input, "profile")
        if name not in self._profiles:
            known = ", ".join(sorted(self._profiles))
            message = f"The profile {name!r} is no longer configured; there are: {known}. Add it, and re-run the job."
            raise Refused(Reason.RUNNER_FAILED, message)
        return self._profiles[name]


def _check_age(image: str, standing: Standing) -> None:
    """Raises `Unavailable`: the job waits at GitHub for a day, and whoever builds the image anew meanwhile saves it."""
    if isinstance(standing, Ended):
        found = finding(image, standing)
        message = f"{found.message}. {found.mend}"
        raise Unavailable(Reason.RUNNER_TOO_OLD, message, retry_after=RETRY_TOO_OLD)


def _guarded(job: Job) -> bool:
    return job.input.get("guarded") is True or job.input.get("refusal") is not None


def _may_ask(job: Job) -> bool:
    """Whether its runner may have a hook: that of an organization's depends on the group that it was registered in."""
    level = Level(optional_text(job.input, "level") or Level.ORGANIZATION)
    return _guarded(job) or level is Level.ORGANIZATION


def _made(job: Job) -> Made:
    run_id = optional_integer(job.input, "workflow_run_id") or 0
    return Made(text(job.input, "repository"), run_id, optional_text(job.input, "refusal"))


def _limits(job: Job, profile: Profile) -> Limits:
    """The profile's, but where the label says otherwise; within the maxima that there are now, not those of its arrival."""
    usual, most = profile.limits, profile.maxima
    cpus, memory = optional_number(job.input, "cpus"), optional_integer(job.input, "memory_bytes")
    return replace(
        usual,
        cpus=usual.cpus if cpus is None else min(cpus, most.cpus),
        memory_bytes=usual.memory_bytes if memory is None else min(memory, most.memory_bytes),
    )
