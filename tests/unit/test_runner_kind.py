"""The kind `github.runner`: what it needs, hands over, undoes, and how its end is read."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chaser.clock import ManualClock
from chaser.errors import Refused, Unavailable
from chaser.ids import InstanceId, JobId, new_id, new_job_id
from chaser.jobs.job import NO_SECRETS, Job, Status
from chaser.jobs.kind import Admitted, AnyKind, Ear
from chaser.jobs.logs import Frame, Stream
from chaser.jobs.reason import Reason
from chaser.runners import hook
from chaser.runners.ages import Ages
from chaser.runners.decide import MAX_ATTEMPTS
from chaser.runners.demand import Demand
from chaser.runners.enrolment import Enrolments
from chaser.runners.gate import Gate
from chaser.runners.policy import Level
from chaser.runners.ports import RunnerRow
from chaser.runners.registration import (
    Minted,
    Owner,
    Registration,
    Removal,
    job_of,
    name_prefix,
    runner_name,
)
from chaser.runners.runner import Runner
from chaser.runners.versions import LABEL, Schedule
from chaser.sandboxes.ending import Ending, Exited, Stopped, Vanished
from chaser.sandboxes.spec import Isolation, Launch, Limits, Network, Profile, RootFile
from chaser.secret import Secret
from tests.kinds import IMAGE, row_of
from tests.rows import START
from tests.workflow_jobs import OURS

NOW = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
INSTANCE = InstanceId(new_id("ins", NOW))
OLD = "2.320.0"
OWNER = Owner(5, "octo-org/example", "octo-org")
LARGE = Profile(
    name="large",
    image="exec-image",
    isolation=Isolation.STANDARD,
    network=Network.INTERNET,
    limits=Limits(cpus=4, memory_bytes=8 << 30),
    maxima=Limits(cpus=8, memory_bytes=16 << 30),
    runner_image="runner-image",
    runner_isolation=Isolation.SUDO,
    runner_timeout=timedelta(hours=2),
)


@dataclass
class Registry:
    """GitHub's list of runners, as a registrar keeps it."""

    public: bool = False
    runners: dict[str, Registration] = field(default_factory=dict[str, Registration])
    labels: dict[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    owners: set[Owner] = field(default_factory=set[Owner])

    async def mint(self, owner: Owner, name: str, labels: Sequence[str]) -> Minted:
        self.owners.add(owner)
        number = len(self.labels) + 1
        self.runners[name] = Registration(number, name, online=False, busy=False)
        self.labels[name] = labels
        return Minted(number, name, Secret("jit-configuration"), public=self.public)

    async def find(self, owner: Owner, name: str) -> Registration | None:
        return self.runners.get(name)

    async def place(self, owner: Owner) -> str:
        return owner.repository

    async def list(self, owner: Owner, prefix: str) -> Sequence[Registration]:
        return [each for each in self.runners.values() if each.name.startswith(prefix)]

    async def remove(self, owner: Owner, runner_id: int) -> Removal:
        for name, runner in self.runners.items():
            if runner.runner_id == runner_id:
                if runner.busy:
                    return Removal.BUSY
                del self.runners[name]
                return Removal.REMOVED
        return Removal.ABSENT


def job(
    *,
    attempt: int = 1,
    labels: Sequence[str] = ("Chaser-Large", "linux", "chaser-large"),
    profile: str = "large",
    **more: object,
) -> Job:
    asked = {
        "installation_id": 5,
        "repository": "octo-org/example",
        "organization": "octo-org",
        "labels": list(labels),
        "workflow_job_id": 77,
        "profile": profile,
        **more,
    }
    admitted = Admitted(asked, NO_SECRETS, profile)
    return row_of(
        "github.runner",
        admitted,
        id=JobId("job_01kdwbq2c0abcdefghjkmnpqrs"),
        attempt=attempt,
        origin="github/workflow_job/77",
    )


class Calendar:
    """GitHub's schedule of the runner's versions."""

    async def find(self, owner: Owner, version: str) -> Schedule | None:
        return Schedule(NOW, None) if version == OLD else Schedule(None, None)


@dataclass
class Book:
    """How far runners have come, as the store keeps it."""

    rows: dict[JobId, RunnerRow] = field(default_factory=dict[JobId, RunnerRow])
    faults: list[Unavailable] = field(default_factory=list[Unavailable])
    """What a write raises, in turn."""

    async def begun(self, job_id: JobId, attempt: int, name: str, at: datetime) -> None:
        self.rows[job_id] = RunnerRow(job_id, attempt, name, at)

    async def minted(
        self, job_id: JobId, attempt: int, runner_id: int, prepared_at: datetime, at: datetime
    ) -> None:
        self._note(job_id, attempt, runner_id=runner_id, prepared_at=prepared_at, minted_at=at)

    async def online(self, job_id: JobId, attempt: int, at: datetime) -> None:
        self._note(job_id, attempt, online_at=at)

    async def removed(self, job_id: JobId, attempt: int, at: datetime) -> None:
        self._note(job_id, attempt, removed_at=at)

    async def of(self, job_id: JobId, attempt: int) -> RunnerRow | None:
        row = self.rows.get(job_id)
        return row if row is not None and row.attempt == attempt else None

    def _note(self, job_id: JobId, attempt: int, **said: Any) -> None:  # noqa: ANN401  # the fields of a value object
        if self.faults:
            raise self.faults.pop(0)
        if job_id in self.rows and self.rows[job_id].attempt == attempt:
            self.rows[job_id] = replace(self.rows[job_id], **said)


class Told:
    """What GitHub has told: nothing."""

    async def of_run(self, run_id: int, attempt: int) -> Sequence[Demand]:
        return []


async def plant(files: Sequence[RootFile]) -> None:
    """Nobody looks."""


def runner(registry: Registry | None, clock: ManualClock | None = None, book: Book | None = None) -> Runner:
    clock = clock or ManualClock(START)
    ages = Ages(Calendar(), clock)
    return Runner(
        {"large": LARGE},
        Enrolments(INSTANCE, lambda: registry, book or Book(), clock),
        Gate(Told(), OURS),
        lambda: ages,
        clock,
        "https://chaser.example.com",
    )


def test_it_is_a_kind() -> None:
    kind: AnyKind = runner(None)
    assert (kind.name, kind.open) == ("github.runner", False)


def test_the_sandbox_is_the_profiles_for_runners() -> None:
    spec = runner(Registry()).spec(job())
    assert (spec.image, spec.isolation, spec.user) == ("runner-image", Isolation.SUDO, None)
    assert (spec.profile, spec.network, spec.limits) == ("large", Network.INTERNET, LARGE.limits)


def test_without_sizes_it_is_the_one_that_is_kept_ready_for_runners() -> None:
    assert runner(Registry()).spec(job()) == LARGE.runner


@pytest.mark.parametrize(
    ("said", "cpus", "memory"),
    [
        ({"cpus": 6.0, "memory_bytes": 12 << 30}, 6, 12 << 30),
        ({"cpus": 1.0}, 1, 8 << 30),
        ({"memory_bytes": 2 << 30}, 4, 2 << 30),
        ({"cpus": 64, "memory_bytes": 1 << 40}, 8, 16 << 30),
        ({"cpus": None, "memory_bytes": None}, 4, 8 << 30),
    ],
)
def test_a_labels_sizes_go_before_the_profiles_limits_and_stay_within_its_maxima(
    said: dict[str, object], cpus: float, memory: int
) -> None:
    """Those of now: they may have been lowered since the job arrived."""
    plain = job()
    spec = runner(Registry()).spec(replace(plain, input={**plain.input, **said}))
    assert spec.limits == replace(LARGE.limits, cpus=cpus, memory_bytes=memory)


@pytest.mark.parametrize(
    ("said", "level"),
    [({}, Level.ORGANIZATION), ({"level": "repository"}, Level.REPOSITORY)],
)
async def test_its_runner_is_registered_no_wider_than_was_decided(
    said: dict[str, object], level: Level
) -> None:
    registry, plain = Registry(), job()
    await runner(registry).launch(replace(plain, input={**plain.input, **said}), IMAGE)
    assert registry.owners == {replace(OWNER, level=level)}


def test_a_profile_that_is_gone_refuses_the_job() -> None:
    with pytest.raises(Refused, match=r"'gone'.*large"):
        runner(Registry()).spec(job(profile="gone"))


async def test_the_launch_is_the_runner_program_with_its_configuration() -> None:
    launch = await runner(Registry()).launch(job(), IMAGE)
    assert launch.timeout == timedelta(hours=2)
    (step,) = launch.steps
    assert step.command.endswith("\nexec /home/runner/run.sh")
    assert step.replaces_shell
    assert step.grace is not None
    assert step.grace > timedelta(seconds=30)
    assert step.env == {"ACTIONS_RUNNER_INPUT_JITCONFIG": "jit-configuration"}
    assert "jit-configuration" in launch.masked.values()
    assert "jit-configuration" not in repr(launch)


async def test_the_jobs_log_at_github_says_where_it_ran_and_how_long_it_waited() -> None:
    clock = ManualClock(START + timedelta(seconds=75))
    (step,) = (await runner(Registry(), clock).launch(job(attempt=2), IMAGE)).steps

    for said in (
        "Profile: large",
        "Waited: 1 min 15 s",
        "Digest: sha256:digest",
        "https://chaser.example.com/v1/jobs/job_01kdwbq2c0abcdefghjkmnpqrs",
    ):
        assert said in step.command


async def test_the_runner_gets_the_jobs_own_labels_in_lower_case_once_each() -> None:
    registry = Registry()
    await runner(registry).launch(job(), IMAGE)
    assert list(registry.labels.values()) == [["chaser-large", "linux"]]
    assert registry.owners == {OWNER}


async def test_without_credentials_the_job_waits() -> None:
    with pytest.raises(Unavailable) as caught:
        runner(None).spec(job())
    with pytest.raises(Unavailable):
        await runner(None).launch(job(), IMAGE)
    assert caught.value.reason is Reason.NO_APP_CREDENTIALS
    assert "github.app_id" in caught.value.message
    await runner(None).settle(job())


async def test_a_runner_that_github_serves_no_more_is_not_registered_and_its_job_waits_for_a_newer_image() -> (
    None
):
    """Such a runner would wait for ever. Before its end, and after the image was built anew, it is."""
    registry, old = Registry(), replace(IMAGE, labels={LABEL: OLD})
    with pytest.raises(Unavailable, match=r"runner-image has runner 2\.320\.0.*make image-runner") as caught:
        await runner(registry, ManualClock(NOW)).launch(job(), old)
    assert (caught.value.reason, registry.runners) == (Reason.RUNNER_TOO_OLD, {})
    assert caught.value.retry_after
    await runner(registry, ManualClock(NOW - timedelta(seconds=1))).launch(job(), old)
    await runner(registry, ManualClock(NOW)).launch(job(attempt=2), replace(IMAGE, labels={LABEL: "2.338.0"}))
    assert len(registry.runners) == 2


async def test_how_far_it_has_come_is_noted_with_its_times() -> None:
    book, clock, mine = Book(), ManualClock(START), job()
    kind = runner(Registry(), clock, book)
    await kind.begins(mine)
    clock.advance(timedelta(seconds=2))
    await kind.launch(mine, IMAGE)
    clock.advance(timedelta(seconds=3))
    await prints(kind.ear(mine, plant), b"Connected to GitHub\n", b"2026-01-01: Listening for Jobs\n")
    await kind.settle(mine)

    row = book.rows[mine.id]
    assert (row.attempt, row.name, row.runner_id) == (1, runner_name(INSTANCE, mine.id, 1), 1)
    assert row.begun_at == START
    assert row.prepared_at == row.minted_at == START + timedelta(seconds=2)
    assert row.online_at == row.removed_at == START + timedelta(seconds=5)


@pytest.mark.parametrize(
    ("printed", "listens"),
    [
        ((b"Listening for Jobs",), True),
        ((b"... Listening f", b"", b"or Jobs\n"), True),
        ((b"Listening for", b"getfulness", b" Jobs"), False),
    ],
)
async def test_it_is_online_once_it_says_that_it_listens(printed: Sequence[bytes], listens: bool) -> None:
    book, mine = Book(), job()
    kind = runner(Registry(), None, book)
    await kind.begins(mine)
    await prints(kind.ear(mine, plant), *printed)
    assert (book.rows[mine.id].online_at is not None) == listens


async def test_a_store_that_is_away_is_told_later_that_it_listens() -> None:
    book, mine = Book(), job()
    kind = runner(Registry(), None, book)
    await kind.begins(mine)
    book.faults.append(Unavailable(Reason.STORE_UNAVAILABLE, "away"))
    ear = kind.ear(mine, plant)
    await prints(ear, b"Listening for Jobs")
    assert book.rows[mine.id].online_at is None
    await prints(ear, b"\n")
    assert book.rows[mine.id].online_at is not None


async def test_what_github_no_longer_wants_loses_its_registration_before_its_sandbox() -> None:
    registry, mine = Registry(), job()
    kind = runner(registry)
    await kind.begins(mine)
    await kind.launch(mine, IMAGE)
    assert Reason.CANCELLED_BY_GITHUB in kind.asks_first
    assert await kind.release(mine)
    assert registry.runners == {}


async def test_what_has_another_job_by_now_is_left_alone() -> None:
    registry, mine = Registry(), job()
    kind = runner(registry)
    await kind.begins(mine)
    await kind.launch(mine, IMAGE)
    (name,) = registry.runners
    registry.runners[name] = Registration(1, name, online=True, busy=True)
    assert not await kind.release(mine)
    assert set(registry.runners) == {name}


async def test_what_is_gone_at_github_already_may_end() -> None:
    registry, mine = Registry(), job()
    kind = runner(registry)
    await kind.begins(mine)
    await kind.launch(mine, IMAGE)
    registry.runners.clear()
    assert await kind.release(mine)


async def test_what_was_never_registered_may_end_without_a_question() -> None:
    class Silent(Registry):
        async def remove(self, owner: Owner, runner_id: int) -> Removal:
            raise AssertionError

    mine = job()
    kind = runner(Silent())
    assert await kind.release(mine)
    await kind.begins(mine)
    assert await kind.release(mine)


async def test_while_github_does_not_answer_nothing_is_concluded() -> None:
    class Away(Registry):
        async def remove(self, owner: Owner, runner_id: int) -> Removal:
            raise Unavailable(Reason.GITHUB_UNAVAILABLE, "GitHub did not answer.")

    mine = job()
    kind = runner(Away())
    await kind.begins(mine)
    await kind.launch(mine, IMAGE)
    with pytest.raises(Unavailable):
        await kind.release(mine)


async def test_what_was_released_is_settled_without_another_question() -> None:
    class Counted(Registry):
        asked = 0

        async def find(self, owner: Owner, name: str) -> Registration | None:
            self.asked += 1
            return await super().find(owner, name)

    registry, book, mine = Counted(), Book(), job()
    kind = runner(registry, None, book)
    await kind.begins(mine)
    await kind.launch(mine, IMAGE)
    await kind.release(mine)
    await kind.settle(mine)
    assert registry.asked == 0
    assert book.rows[mine.id].removed_at is not None


async def prints(ear: Ear, *pieces: bytes) -> None:
    for seq, data in enumerate(pieces, start=1):
        await ear([Frame(seq, Stream.OUTPUT, START, data)])


async def test_settling_leaves_no_registration_and_may_run_twice() -> None:
    registry = Registry()
    await runner(registry).launch(job(), IMAGE)
    await runner(registry).settle(job())
    assert registry.runners == {}
    await runner(registry).settle(job())


async def test_settling_leaves_a_busy_runner_to_github() -> None:
    registry = Registry()
    await runner(registry).launch(job(), IMAGE)
    (name,) = registry.runners
    registry.runners[name] = Registration(1, name, online=True, busy=True)
    book = Book()
    await book.begun(job().id, 1, name, START)
    await runner(registry, None, book).settle(job())
    assert set(registry.runners) == {name}
    assert book.rows[job().id].removed_at is None


async def test_settling_where_github_refuses_does_not_change_how_the_job_ended() -> None:
    """The App may have been removed meanwhile; the caller logs this, and goes on."""

    class Removed(Registry):
        async def find(self, owner: Owner, name: str) -> Registration | None:
            raise Refused(Reason.GITHUB_REFUSED, "GitHub answered 404.")

    with pytest.raises(Unavailable, match="404") as caught:
        await runner(Removed()).settle(job())
    assert caught.value.reason is Reason.GITHUB_REFUSED


async def test_settling_touches_only_its_own_attempt() -> None:
    registry = Registry()
    await runner(registry).launch(job(attempt=1), IMAGE)
    await runner(registry).launch(job(attempt=2), IMAGE)
    await runner(registry).settle(job(attempt=1))
    assert list(registry.runners) == [runner_name(INSTANCE, job().id, 2)]


@pytest.mark.parametrize(
    ("ending", "status", "reason", "code"),
    [
        (Exited(0), Status.SUCCEEDED, None, 0),
        (Exited(3), Status.FAILED, Reason.RUNNER_FAILED, 3),
        (Exited(7), Status.FAILED, Reason.RUNNER_TOO_OLD, 7),
        (Exited(137, oom_kills=2), Status.FAILED, Reason.OUT_OF_MEMORY, 137),
        (Stopped(Reason.RUN_TIMEOUT, "too long"), Status.FAILED, Reason.RUN_TIMEOUT, None),
        (Stopped(Reason.CANCELLED_BY_USER, "enough"), Status.CANCELLED, Reason.CANCELLED_BY_USER, None),
        (Stopped(Reason.CANCELLED_BY_GITHUB, "enough"), Status.CANCELLED, Reason.CANCELLED_BY_GITHUB, None),
        (Vanished("gone"), Status.FAILED, Reason.HOST_LOST, None),
    ],
)
def test_how_an_end_is_read(ending: Ending, status: Status, reason: Reason | None, code: int | None) -> None:
    verdict = runner(None).verdict(job(), ending)
    assert (verdict.status, verdict.reason) == (status, reason)
    assert verdict.result == {"exit_code": code, "runner_name": runner_name(INSTANCE, job().id, 1)}
    assert (verdict.message is None) == (status is Status.SUCCEEDED)


def test_a_runner_that_outlived_a_step_without_memory_has_ended_well_and_says_why_the_step_failed() -> None:
    verdict = runner(None).verdict(job(), Exited(0, oom_kills=1))
    assert (verdict.status, verdict.reason, verdict.result["exit_code"]) == (Status.SUCCEEDED, None, 0)
    assert "memory limit" in (verdict.message or "")


def test_a_runners_name_says_whose_it_is_and_fits_githubs_limit() -> None:
    """So that it can be found again, and swept, without anything stored."""
    first = new_job_id(NOW)
    name = runner_name(INSTANCE, first, MAX_ATTEMPTS)
    assert name.startswith(name_prefix(INSTANCE))
    assert len(name) <= 64
    assert name == runner_name(INSTANCE, first, MAX_ATTEMPTS)
    assert (
        len({name, runner_name(INSTANCE, first, 10), runner_name(INSTANCE, new_job_id(NOW), MAX_ATTEMPTS)})
        == 3
    )
    assert len(runner_name(InstanceId("x" * 100), first, MAX_ATTEMPTS)) <= 64


def test_the_name_of_a_runner_tells_its_job() -> None:
    prefix, name = name_prefix(INSTANCE), runner_name(INSTANCE, job().id, 12)
    assert job_of(prefix, name) == job().id
    assert job_of(prefix, f"{name}\n") is None
    assert job_of(prefix, None) is None


def hooked(launch: Launch) -> str | None:
    """The hook's text; none: there is none."""
    assert (launch.steps[0].env.get(hook.VARIABLE) == hook.PATH) == bool(launch.root_files)
    assert (".env" in launch.steps[0].command) == bool(launch.root_files)
    return launch.root_files[0].content.decode() if launch.root_files else None


async def test_a_runner_that_only_trusted_jobs_can_reach_has_no_hook() -> None:
    assert hooked(await runner(Registry()).launch(job(), IMAGE)) is None


async def test_a_runner_that_others_could_reach_has_a_hook_which_knows_its_own_job() -> None:
    launch = await runner(Registry()).launch(job(guarded=True, workflow_run_id=4711), IMAGE)
    text = hooked(launch) or ""
    assert '[ "$run" = 4711 ]' in text
    assert "= octo-org/example ]" in text
    assert "    exit 0\n" in text
    assert hook.VARIABLE not in launch.masked


async def test_so_has_one_in_a_group_that_public_repositories_may_use() -> None:
    assert hooked(await runner(Registry(public=True)).launch(job(), IMAGE)) is not None


async def test_a_runner_that_refuses_says_so_in_both_places() -> None:
    launch = await runner(Registry()).launch(job(refusal="It's held.", workflow_run_id=4711), IMAGE)
    assert "turn_away 'Chaser: this job is not run here. It'\"'\"'s held.'" in (hooked(launch) or "")
    assert "Chaser does not run this job" in launch.steps[0].command
