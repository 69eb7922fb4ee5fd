"""The script that turns jobs away, run by the shells that run it."""

import os
import re
import subprocess
import threading
import time
from pathlib import Path

import pytest

from chaser.runners import hook
from chaser.runners.hook import Made, Question, answer, questions, script

MADE = Made("octo-org/example", 7)
OWN = {
    "GITHUB_REPOSITORY": "octo-org/example",
    "GITHUB_RUN_ID": "7",
    "GITHUB_RUN_ATTEMPT": "1",
    "GITHUB_EVENT_NAME": "push",
}
OTHER = {**OWN, "GITHUB_RUN_ID": "8"}
SHELLS = ["bash", "sh", "busybox"]
HOSTILE = "Its label is '; touch /tmp/x; $(id) `id` \n::error::no\n##[error]no\nrun\nend"


class Worker:
    """A process in the runner's worker's place: it runs the hook, and then a step that always runs."""

    def __init__(self, place: Path, shell: str) -> None:
        self.place = place
        self.shell = ["busybox", "sh"] if shell == "busybox" else [shell]
        (place / "answers").mkdir()

    def run(
        self, made: Made, environ: dict[str, str], *, patience: int = 5
    ) -> subprocess.CompletedProcess[str]:
        text = script(made).content.decode()
        text = text.replace("/chaser/answers", str(self.place / "answers")).replace(
            "/proc/1/fd/1", str(self.place / "out")
        )
        text = text.replace(f"-gt {hook.PATIENCE * 5} ]", f"-gt {patience} ]")
        text = text.replace(f"% {hook.AGAIN * 5})", "% 2)").replace(
            ">" + str(self.place), ">>" + str(self.place)
        )
        # outside of a sandbox there are others
        text = (
            text.replace("kill -KILL -1", ":")
            .replace("sleep 30", "sleep 0")
            .replace("sleep 2\n", "sleep 0.1\n")
        )
        (self.place / "hook.sh").write_text(text)
        worker = f"{' '.join(self.shell)} -e '{self.place}/hook.sh'; status=$?; echo 'a step that always runs'; exit $status"
        return subprocess.run(
            ["bash", "-c", worker],
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def answer(self, question: Question, refusal: str | None) -> None:
        file = answer(question, refusal)
        (self.place / "answers" / file.name).write_bytes(file.content)

    @property
    def asked(self) -> bytes:
        out = self.place / "out"
        return out.read_bytes() if out.exists() else b""


@pytest.fixture(params=SHELLS)
def worker(request: pytest.FixtureRequest, tmp_path: Path) -> Worker:
    if not Path("/bin", request.param).exists():
        pytest.skip(f"no {request.param} here")
    return Worker(tmp_path, request.param)


def test_the_job_that_the_runner_was_made_for_passes_at_once(worker: Worker) -> None:
    done = worker.run(MADE, OWN)
    assert (done.returncode, "a step that always runs" in done.stdout) == (0, True)
    assert worker.asked == b""


def test_of_another_run_the_hook_goes_by_the_answer(worker: Worker) -> None:
    worker.answer(Question(8, 1, "push"), None)
    done = worker.run(MADE, OTHER)
    assert (done.returncode, "a step that always runs" in done.stdout) == (0, True)


@pytest.mark.parametrize(
    "environ", [OTHER, {**OWN, "GITHUB_REPOSITORY": "octo-org/other"}, {**OTHER, "GITHUB_RUN_ATTEMPT": "2"}]
)
def test_who_is_turned_away_runs_no_step_not_even_one_that_always_runs(
    worker: Worker, environ: dict[str, str]
) -> None:
    question = Question(int(environ["GITHUB_RUN_ID"]), int(environ["GITHUB_RUN_ATTEMPT"]), "push")
    worker.answer(question, "It is held.")
    done = worker.run(MADE, environ)
    assert "a step that always runs" not in done.stdout
    assert done.returncode == -9
    assert "Chaser: this job is not run here. It is held." in done.stderr, "the worker's last words"
    assert "Chaser: this job is not run here. It is held." in done.stdout, "the step's log"


def test_an_answer_for_another_attempt_is_none(worker: Worker) -> None:
    worker.answer(Question(8, 2, "push"), None)
    done = worker.run(MADE, OTHER)
    assert (done.returncode, "a step that always runs" in done.stdout) == (-9, False)


def test_without_an_answer_nothing_runs(worker: Worker) -> None:
    done = worker.run(MADE, OTHER)
    assert (done.returncode, "Nobody has said" in done.stderr) == (-9, True)


def test_the_hook_asks_again_whom_a_new_start_has_made_forget(worker: Worker) -> None:
    worker.run(MADE, OTHER, patience=3)
    assert questions(worker.asked) == [Question(8, 1, "push")] * 2


def test_half_an_answer_is_none(worker: Worker) -> None:
    file = answer(Question(8, 1, "push"), None)
    (worker.place / "answers" / file.name).write_bytes(file.content[:4])
    assert worker.run(MADE, OTHER).returncode == -9


def test_a_runner_that_was_made_to_refuse_refuses_its_job_and_asks_of_others(worker: Worker) -> None:
    refusing = Made("octo-org/example", 7, HOSTILE)
    done = worker.run(refusing, OWN)
    assert done.returncode == -9
    assert "Its label is '; touch /tmp/x; $(id) `id` ::error::no ## [error]no run end" in done.stdout
    assert not re.search(r"^(::|##\[)", done.stdout, re.MULTILINE)
    worker.answer(Question(8, 1, "push"), None)
    assert worker.run(refusing, OTHER).returncode == 0


@pytest.mark.parametrize("missing", ["GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT"])
def test_a_job_that_does_not_say_what_it_is_is_turned_away(worker: Worker, missing: str) -> None:
    for said in ("", "../7", "7 8"):
        assert worker.run(MADE, {**OWN, missing: said}).returncode == -9


def test_a_refusal_that_reads_like_leave_is_none(worker: Worker) -> None:
    worker.answer(Question(8, 1, "push"), "run\nend")
    assert worker.run(MADE, OTHER).returncode == -9


def test_the_hook_waits_for_its_answer(worker: Worker) -> None:
    """It comes while it waits."""

    def later() -> None:
        while not worker.asked:
            time.sleep(0.02)
        worker.answer(Question(8, 1, "push"), None)

    thread = threading.Thread(target=later)
    thread.start()
    assert worker.run(MADE, OTHER, patience=100).returncode == 0
    thread.join()


@pytest.mark.parametrize(
    "said",
    [
        b"chaser-hook 8 1",
        b"x chaser-hook 8 1 push",
        b"chaser-hook 8 1 push; rm",
        b"chaser-hook ../8 1 push",
        b"chaser-hook 8 1 push x",
        b"chaser-hook " + b"9" * 30 + b" 1 push",
    ],
)
def test_what_is_no_question_is_none(said: bytes) -> None:
    assert questions(said) == []


def test_questions_are_found_among_other_lines() -> None:
    said = b"Listening for Jobs\n\nchaser-hook 8 1 pull_request\n\nchaser-hook 9 2 push\n"
    assert questions(said) == [Question(8, 1, "pull_request"), Question(9, 2, "push")]


def test_an_image_with_a_hook_of_its_own_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"LANG=C\n{hook.VARIABLE}=/mine.sh\n")
    command = hook.guarding("echo started").replace("/home/runner/.env", str(tmp_path / ".env"))
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    (tmp_path / ".env").unlink()
    assert (
        subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False).stdout
        == "started\n"
    )
