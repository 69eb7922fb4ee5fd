"""Who may have a runner that was made for another job."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from chaser.errors import Unavailable
from chaser.jobs.job import NO_SECRETS
from chaser.jobs.kind import Admitted, Ear
from chaser.jobs.logs import Frame, Stream
from chaser.jobs.reason import Reason
from chaser.runners.decide import Ours
from chaser.runners.demand import Clearance, Demand, first
from chaser.runners.gate import MOST, Gate, May, MayNot, NotKnown, Reach, may_run
from chaser.runners.hook import Question, answer
from chaser.runners.labels import Grammar
from chaser.sandboxes.spec import RootFile
from tests.kinds import row_of
from tests.profiles import named
from tests.rows import START
from tests.workflow_jobs import OURS, news, told

REACH = Reach(frozenset({"self-hosted", "chaser", "linux"}), "default")
WITH_STRANGERS: Ours = replace(OURS, grammar=Grammar(named("default", "large", "strangers")))
MOMENT = timedelta(milliseconds=1)


def demand(clearance: Clearance = Clearance.NOT_NEEDED, profile: str = "default", **said: object) -> Demand:
    return replace(first(news(told(**said)), START), clearance=clearance, profile=profile)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("clearance", [Clearance.NOT_NEEDED, Clearance.PASSED, Clearance.APPROVED])
def test_a_job_that_may_run_may_have_another_ones_runner(clearance: Clearance) -> None:
    assert may_run([demand(clearance)], REACH, WITH_STRANGERS) == May()


@pytest.mark.parametrize("clearance", [Clearance.REFUSED, Clearance.HELD])
def test_a_job_that_was_refused_or_is_held_is_turned_away_with_its_reason(clearance: Clearance) -> None:
    found = [replace(demand(clearance), message="It is a fork's.")]
    assert may_run(found, REACH, WITH_STRANGERS) == MayNot("It is a fork's.")


def test_a_job_of_a_repository_that_the_profile_is_not_for_is_turned_away() -> None:
    refused = first(news(told(private=False)), START)
    word = may_run([refused], REACH, WITH_STRANGERS)
    assert isinstance(word, MayNot)
    assert "is public" in word.message


def test_a_job_for_others_is_turned_away() -> None:
    """Its labels are not ours, so nobody has looked whose it is."""
    stray = told("in_progress", labels=("self-hosted",), runner_name=f"{OURS.names}01k9-1")
    assert isinstance(may_run([first(news(stray), START)], REACH, WITH_STRANGERS), MayNot)


def test_what_is_not_known_yet_is_waited_for() -> None:
    assert may_run([], REACH, WITH_STRANGERS) == NotKnown()
    assert may_run([demand(Clearance.PENDING)], REACH, WITH_STRANGERS) == NotKnown()


def test_jobs_whose_labels_the_runner_lacks_say_nothing() -> None:
    assert may_run([demand(labels=("chaser-large",))], REACH, WITH_STRANGERS) == NotKnown()


def test_what_was_sent_to_another_profile_runs_in_that_alone() -> None:
    strange = demand(Clearance.PASSED, "strangers")
    word = may_run([strange], REACH, WITH_STRANGERS)
    assert isinstance(word, MayNot)
    assert "'strangers'" in word.message
    assert may_run([strange], replace(REACH, profile="strangers"), WITH_STRANGERS) == May()
    assert may_run([demand()], replace(REACH, profile="strangers"), WITH_STRANGERS) == May()


@dataclass
class Sandbox:
    """A store that learns of a job in its time, and a sandbox that is answered."""

    found: list[Sequence[Demand] | Unavailable] = field(default_factory=list[Sequence[Demand] | Unavailable])
    faults: list[Exception] = field(default_factory=list[Exception])
    """What planting meets, in turn."""
    planted: asyncio.Queue[RootFile] = field(default_factory=asyncio.Queue[RootFile])

    async def of_run(self, run_id: int, attempt: int) -> Sequence[Demand]:
        found = self.found.pop(0) if len(self.found) > 1 else self.found[0]
        if isinstance(found, Unavailable):
            raise found
        return found

    async def plant(self, files: Sequence[RootFile]) -> None:
        if self.faults:
            raise self.faults.pop(0)
        for file in files:
            self.planted.put_nowait(file)

    def ear(self, gate: Gate) -> Ear:
        admitted = Admitted(
            {"labels": ["self-hosted", "Chaser", "linux"], "profile": "default"}, NO_SECRETS, "default"
        )
        return gate.ear(row_of("github.runner", admitted), self.plant)

    def gate(self) -> Gate:
        return Gate(self, WITH_STRANGERS, patience=10 * MOMENT, look=MOMENT)


async def say(ear: Ear, *printed: bytes) -> None:
    for number, data in enumerate(printed):
        await ear([Frame(number, Stream.OUTPUT, START, data, 0, 0, 1)])


@pytest.mark.parametrize(
    "printed",
    [
        (b"\nchaser-hook 7 1 push\n",),
        (b"Listening\n\nchaser-h", b"ook 7 1 pu", b"sh\nRunning job: x\n"),
    ],
)
async def test_a_question_is_answered_however_it_is_cut(printed: Sequence[bytes]) -> None:
    sandbox = Sandbox([[demand()]])
    gate = sandbox.gate()
    await say(sandbox.ear(gate), *printed)
    assert await sandbox.planted.get() == answer(Question(7, 1, "push"), None)
    assert gate.measures()[0].values[(("answer", "passed"),)] == 1


async def test_it_waits_until_github_has_told_and_was_asked_and_the_store_is_back() -> None:
    away = Unavailable(Reason.STORE_UNAVAILABLE, "away")
    sandbox = Sandbox([[], away, [demand(Clearance.PENDING)], [demand(Clearance.PASSED)]])
    await say(sandbox.ear(sandbox.gate()), b"\nchaser-hook 7 1 push\n")
    assert await sandbox.planted.get() == answer(Question(7, 1, "push"), None)


async def test_an_engine_that_is_away_for_a_moment_holds_no_answer_back() -> None:
    sandbox = Sandbox([[demand()]], [Unavailable(Reason.ENGINE_UNAVAILABLE, "away")])
    gate = Gate(sandbox, WITH_STRANGERS, look=MOMENT)
    await say(sandbox.ear(gate), b"\nchaser-hook 7 1 push\n")
    assert await sandbox.planted.get() == answer(Question(7, 1, "push"), None)


async def test_of_what_nobody_tells_it_turns_away() -> None:
    sandbox = Sandbox([[]])
    gate = sandbox.gate()
    await say(sandbox.ear(gate), b"\nchaser-hook 7 1 push\n")
    assert b"so nobody knows whose it is" in (await sandbox.planted.get()).content
    assert gate.measures()[0].values[(("answer", "turned_away"),)] == 1


async def test_a_runner_is_answered_only_so_often() -> None:
    sandbox = Sandbox([[demand()]])
    many = b"".join(b"chaser-hook %d 1 push\n" % number for number in range(100))
    await say(sandbox.ear(sandbox.gate()), many, many)
    for _ in range(MOST):
        await sandbox.planted.get()
    await asyncio.sleep(0)
    assert sandbox.planted.empty()
