"""`chaser jobs` as a process, against a service that answers, goes away and comes back as the test says."""

import json
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.scripted_routes import JOB, PATIENCE, Json, Play, Reply, Service, begun, chaser

POST, GET = "POST /v1/jobs", f"GET /v1/jobs/{JOB}"
LOGS, CANCEL = f"GET /v1/jobs/{JOB}/logs", f"POST /v1/jobs/{JOB}/cancel"


def frame(seq: int, text: str, step: int = 0, stream: str = "output") -> Json:
    return {
        "seq": seq,
        "attempt": 1,
        "step": step,
        "stream": stream,
        "at": "2030-01-01T00:00:00Z",
        "data": text,
    }


FRAMES = [frame(1, "one\n"), frame(2, "two\n"), frame(3, "three\n")]


def job(status: str, reason: str | None = None, **result: object) -> Json:
    ended = status not in ("queued", "running")
    return {
        "id": JOB,
        "kind": "sandbox.exec",
        "status": status,
        "reason": reason,
        "message": None,
        "result": result or None,
        "finished_at": "2030-01-01T00:00:01Z" if ended else None,
    }


def answers(document: object, status: int = 200) -> Play:
    return lambda reply: reply.document(document, status)


def tells(frames: Sequence[Json]) -> Play:
    def play(reply: Reply) -> None:
        reply.begin()
        reply.frames(frames)
        reply.end()

    return play


def breaks_off(frames: Sequence[Json], rest: bytes = b"") -> Play:
    def play(reply: Reply) -> None:
        reply.begin()
        reply.frames(frames)
        if rest:
            reply.piece(rest)
        reply.cut()

    return play


def cut(reply: Reply) -> None:
    reply.cut()


def refuses(status: int, code: str, details: Json | None = None) -> Play:
    return lambda reply: reply.refuse(status, code, details)


def service(end: Json | None = None, **routes: list[Play]) -> Service:
    """One job, which ends as `end` says; `post`, `logs`, `get` and `cancel` may be played otherwise."""
    usual = {
        POST: routes.pop("post", [answers(job("queued"), 201)]),
        LOGS: routes.pop("logs", [tells(FRAMES)]),
        GET: routes.pop("get", [answers(end or job("succeeded", exit_code=0, output="one\ntwo\nthree\n"))]),
        CANCEL: routes.pop("cancel", [answers(job("running"), 202)]),
    }
    assert not routes
    return Service(usual)


def test_a_detached_job_is_queued_and_printed(tmp_path: Path) -> None:
    with service() as served:
        ended = chaser(served.url, tmp_path, "jobs", "exec", "--json", "echo hello")
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert json.loads(ended.stdout)["id"] == JOB
    [call] = served.calls
    key = call.json.pop("idempotency_key")
    assert key.startswith("cli-")
    assert call.json == {
        "kind": "sandbox.exec",
        "input": {"command": "echo hello"},
        "idempotency_key": key,
    }


def test_every_option_becomes_a_field(tmp_path: Path) -> None:
    options = (
        "--workspace w --workspace-mode copy --profile p --env A=b --secret TOKEN --timeout 15m --out dist/** --wait "
        "--run-at 2030-01-01T00:00:00Z --idempotency-key k --priority 7 --concurrency-key deploy --queue-timeout 2m "
        "--retry-on nonzero_exit --retry-on host_lost --retry 2"
    )
    with service(job("failed", "nonzero_exit", exit_code=4)) as served:
        chaser(served.url, tmp_path, "jobs", "exec", *options.split(), "make", env={"TOKEN": "t"})
    assert served.of(POST)[0].json == {
        "kind": "sandbox.exec",
        "input": {
            "command": "make",
            "workspace": "w",
            "workspace_mode": "copy",
            "profile": "p",
            "env": {"A": "b"},
            "secrets": {"TOKEN": "t"},
            "timeout_ms": 900_000,
            "artifacts": ["dist/**"],
        },
        "run_at": "2030-01-01T00:00:00Z",
        "idempotency_key": "k",
        "priority": 7,
        "concurrency_key": "deploy",
        "queue_timeout_ms": 120_000,
        "retry": {"on": ["nonzero_exit", "host_lost"], "max": 2},
        "leash_ms": 60_000,
    }


def test_who_waits_sees_the_log_on_stderr_and_the_job_on_stdout(tmp_path: Path) -> None:
    with service() as served:
        ended = chaser(served.url, tmp_path, "jobs", "exec", "--wait", "--json", "true")
    document = json.loads(ended.stdout)
    assert (ended.returncode, document["status"], document["exit_code"]) == (0, "succeeded", 0)
    assert document["output"] == "one\ntwo\nthree\n"
    assert ended.stderr == f"chaser: Job {JOB} is queued.\none\ntwo\nthree\n".encode()


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (job("succeeded", exit_code=0), 0),
        (job("failed", "nonzero_exit", exit_code=3), 3),
        (job("failed", "nonzero_exit", exit_code=143), 143),
        (job("failed", "run_timeout", exit_code=None), 124),
        (job("failed", "queue_timeout"), 124),
        (job("failed", "out_of_memory", exit_code=1), 137),
        (job("failed", "image_not_found"), 127),
        (job("failed", "image_forbidden"), 126),
        (job("failed", "host_lost"), 125),
        (job("failed", "quota_exceeded", exit_code=0), 125),
        (job("cancelled", "cancelled_by_user"), 130),
        (
            job(
                "failed", "nonzero_exit", steps=[{"status": "failed", "exit_code": 5}, {"status": "skipped"}]
            ),
            5,
        ),
    ],
)
@pytest.mark.parametrize("words", [("exec", "--wait", "true"), ("get", "--wait", JOB)])
def test_the_exit_status_says_how_the_job_ended(
    tmp_path: Path, end: Json, expected: int, words: Sequence[str]
) -> None:
    with service(end) as served:
        assert chaser(served.url, tmp_path, "jobs", *words).returncode == expected


@pytest.mark.parametrize("rest", [b"", b'{"seq": 3, "stream": "output", "da'])
def test_a_log_that_is_cut_goes_on_where_it_was(tmp_path: Path, rest: bytes) -> None:
    with service(logs=[breaks_off(FRAMES[:1]), breaks_off(FRAMES[:2], rest), tells(FRAMES)]) as served:
        ended = chaser(served.url, tmp_path, "jobs", "exec", "--wait", "true")
    assert ended.returncode == 0
    assert ended.stderr.partition(b"\n")[2] == b"one\ntwo\nthree\n"
    assert [call.query["after"] for call in served.of(LOGS)] == ["0", "1", "2", "3"]


def test_a_log_whose_end_a_proxy_has_swallowed_is_read_on(tmp_path: Path) -> None:
    with service(logs=[tells(FRAMES[:1]), tells(FRAMES)]) as served:
        ended = chaser(served.url, tmp_path, "jobs", "exec", "--wait", "true")
    assert ended.stderr.endswith(b"one\ntwo\nthree\n")


def test_a_job_that_is_run_again_is_followed_on(tmp_path: Path) -> None:
    ends = [answers(job("running")), answers(job("succeeded", exit_code=0))]
    with service(logs=[tells(FRAMES[:1]), tells(FRAMES)], get=ends) as served:
        ended = chaser(served.url, tmp_path, "jobs", "exec", "--wait", "true")
    assert (ended.returncode, ended.stderr.partition(b"\n")[2]) == (0, b"one\ntwo\nthree\n")


def test_a_restart_of_the_service_is_waited_for_and_told_once(tmp_path: Path) -> None:
    gone = threading.Event()

    def dies(reply: Reply) -> None:
        reply.begin()
        reply.frames(FRAMES[:2])
        assert gone.wait(PATIENCE)
        reply.cut()

    with (
        service(logs=[dies, tells(FRAMES)]) as served,
        begun(served.url, tmp_path, "jobs", "exec", "--wait", "true") as process,
    ):
        assert process.stderr is not None
        seen = [process.stderr.readline() for _ in range(3)]
        served.stop()
        gone.set()
        told = process.stderr.readline()
        assert b"does not answer; trying again" in told
        served.start()
        _, rest = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert seen[1:] == [b"one\n", b"two\n"]
    assert rest == b"chaser: The service answers again.\nthree\n"


@pytest.mark.parametrize("first", [cut, refuses(503, "stopping")])
@pytest.mark.parametrize("words", [("--wait",), ()])
def test_a_request_whose_answer_is_lost_is_sent_again_as_the_same(
    tmp_path: Path, first: Play, words: Sequence[str]
) -> None:
    with service(post=[first, answers(job("queued"), 200)]) as served:
        ended = chaser(served.url, tmp_path, "jobs", "exec", *words, "true")
    assert ended.returncode == 0
    one, two = served.of(POST)
    assert one.json == two.json
    assert one.json["idempotency_key"]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_service_that_is_ill_for_a_while_ends_nothing(tmp_path: Path, status: int) -> None:
    ill: Play = lambda reply: reply.whole(b"<h1>Ill</h1>", "text/html", status)  # noqa: E731
    with service(logs=[ill, tells(FRAMES)], get=[ill, ill, answers(job("succeeded", exit_code=0))]) as served:
        ended = chaser(served.url, tmp_path, "jobs", "exec", "--wait", "true")
    assert (ended.returncode, ended.stderr.count(b"two\n")) == (0, 1)


def test_no_service_at_all_fails_at_once(tmp_path: Path) -> None:
    ended = chaser("http://127.0.0.1:9", tmp_path, "jobs", "exec", "--wait", "--json", "true")
    assert ended.returncode == 125
    assert json.loads(ended.stdout)["error"]["code"] == "unreachable"


def test_a_key_that_is_revoked_meanwhile_ends_the_wait(tmp_path: Path) -> None:
    with service(logs=[breaks_off(FRAMES[:1]), refuses(401, "unauthorized")]) as served:
        ended = chaser(served.url, tmp_path, "jobs", "exec", "--wait", "--json", "true")
    assert (ended.returncode, json.loads(ended.stdout)["error"]["code"]) == (125, "unauthorized")


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_cancels_the_job_first(tmp_path: Path, number: signal.Signals, expected: int) -> None:
    cancelled = threading.Event()

    def until_cancelled(reply: Reply) -> None:
        reply.begin()
        reply.frames(FRAMES[:1])
        assert cancelled.wait(PATIENCE)
        reply.frames(FRAMES[1:2])
        reply.end()

    def cancel(reply: Reply) -> None:
        cancelled.set()
        reply.document(job("running"), 202)

    end = job("cancelled", "cancelled_by_user", output="x", exit_code=None)
    with (
        service(end, logs=[until_cancelled, tells([])], cancel=[cancel]) as served,
        begun(served.url, tmp_path, "jobs", "exec", "--wait", "--json", "sleep 1000") as process,
    ):
        assert process.stderr is not None
        while process.stderr.readline() != b"one\n":
            pass
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == expected
    assert json.loads(out)["status"] == "cancelled"
    assert err.startswith(b"two\n")
    assert b"is cancelled" in err


def test_an_interrupt_while_the_service_is_away_leaves_the_job_to_its_leash(tmp_path: Path) -> None:
    with (
        service(logs=[breaks_off(FRAMES[:1])], cancel=[cut]) as served,
        begun(served.url, tmp_path, "jobs", "exec", "--wait", "--json", "true") as process,
    ):
        assert process.stderr is not None
        while process.stderr.readline() != b"one\n":
            pass
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)  # the second does not wait
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 130


def raw(data: bytes, *, whole: bool) -> Play:
    def play(reply: Reply) -> None:
        reply.begin("text/plain")
        reply.piece(data)
        if whole:
            reply.end()
        else:
            reply.cut()

    return play


def test_a_followed_log_is_byte_identical_whatever_cuts_it(tmp_path: Path) -> None:
    log = b"a\xff\x00b\n" * 1000
    with service(
        logs=[raw(log[:7], whole=False), raw(log[:3001], whole=False), raw(log, whole=True)]
    ) as served:
        ended = chaser(served.url, tmp_path, "jobs", "logs", "-f", JOB)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, log, b"")


def test_logs_as_json_are_one_list(tmp_path: Path) -> None:
    with service(logs=[breaks_off(FRAMES[:1]), tells(FRAMES)]) as served:
        ended = chaser(served.url, tmp_path, "jobs", "logs", "--json", JOB)
    assert json.loads(ended.stdout) == FRAMES


def test_retry_prints_the_new_job(tmp_path: Path) -> None:
    route = {
        f"POST /v1/jobs/{JOB}/retry": [answers({**job("queued"), "id": "job_new", "retry_of": JOB}, 201)]
    }
    with Service(route) as served:
        ended = chaser(served.url, tmp_path, "jobs", "retry", JOB, "--json")
    assert json.loads(ended.stdout)["retry_of"] == JOB


def test_kinds_are_a_table(tmp_path: Path) -> None:
    kinds: Json = {"data": [{"kind": "sandbox.exec", "description": "Runs a command.", "input_schema": {}}]}
    with Service({"GET /v1/jobs/kinds": [answers(kinds)]}) as served:
        assert b"Runs a command." in chaser(served.url, tmp_path, "jobs", "kinds").stdout
        assert json.loads(chaser(served.url, tmp_path, "jobs", "kinds", "--json").stdout) == kinds


PIPELINE = """\
workspace: build
env: {DEBUG: yes, LEVEL: 1.10}
steps:
  - name: fetch
    command: npm ci
  - command: npm test
"""


def test_a_pipeline_is_run_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "ci.yml").write_text(PIPELINE)
    steps = [
        {"name": "fetch", "status": "succeeded", "exit_code": 0, "duration_ms": 5},
        {"name": "step 2", "status": "failed", "reason": "nonzero_exit", "exit_code": 7, "duration_ms": 9},
    ]
    end = job("failed", "nonzero_exit", exit_code=7, steps=steps)
    log = [frame(1, "a\n"), frame(2, "b\n"), frame(3, "c\n", step=1)]
    with service(end, logs=[tells(log)]) as served:
        words = (
            "jobs",
            "run",
            "ci.yml",
            "--wait",
            "--env",
            "LEVEL=2",
            "--secret",
            "TOKEN",
            "--workspace",
            "other",
        )
        ended = chaser(served.url, tmp_path, *words, env={"TOKEN": "t"})
    assert ended.returncode == 7
    assert b"step 1 of 2: fetch\na\nb\nchaser: step 2 of 2: step 2\nc\n" in ended.stderr
    assert b"step 2" in ended.stdout
    assert served.of(POST)[0].json["input"] == {
        "workspace": "other",
        "env": {"DEBUG": "yes", "LEVEL": "2"},
        "secrets": {"TOKEN": "t"},
        "steps": [{"name": "fetch", "command": "npm ci"}, {"command": "npm test"}],
    }


def test_a_pipeline_is_read_from_stdin_and_its_faults_have_lines(tmp_path: Path) -> None:
    fields = [{"pointer": "/input/steps/1/comand", "reason": "is not known"}]
    with service(post=[refuses(422, "invalid_request", {"fields": fields})]) as served:
        wrong = PIPELINE.replace("- command", "- comand").encode()
        ended = chaser(served.url, tmp_path, "jobs", "run", "-", stdin=wrong)
    assert ended.returncode == 126
    assert b"stdin:6: /steps/1/comand: is not known" in ended.stderr


def test_a_file_that_is_no_pipeline_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    ended = chaser("http://127.0.0.1:9", tmp_path, "jobs", "run", "-", "--json", stdin=b"steps:\n  - [")
    assert ended.returncode == 2
    assert "stdin:" in json.loads(ended.stdout)["error"]["message"]
