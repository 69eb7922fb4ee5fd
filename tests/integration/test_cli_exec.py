"""`chaser exec` as a process, against a service that answers as the test says."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from tests.scripted_service import JOB, KEY, PATIENCE, Answer, serving

Play = Callable[[Answer], None]


def environ(url: str, folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CHASER_")}
    return {**kept, "HOME": str(folder), "CHASER_API_URL": url, "CHASER_API_KEY": KEY, **(more or {})}


def chaser(
    url: str, folder: Path, *words: str, stdin: bytes = b"", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "chaser", "exec", *words],
        env=environ(url, folder, env),
        cwd=folder,
        input=stdin,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )


def result(status: str, reason: str | None, exit_code: int | None) -> Play:
    def play(answer: Answer) -> None:
        answer.begin()
        answer.output("hello\n")
        answer.result(status, reason, exit_code)

    return play


@pytest.mark.parametrize(
    ("status", "reason", "exit_code", "expected"),
    [
        ("succeeded", None, 0, 0),
        ("failed", "nonzero_exit", 3, 3),
        ("failed", "nonzero_exit", 143, 143),
        ("failed", "run_timeout", None, 124),
        ("failed", "queue_timeout", None, 124),
        ("failed", "pull_timeout", None, 124),
        ("failed", "start_timeout", None, 124),
        ("failed", "out_of_memory", 1, 137),
        ("failed", "image_not_found", None, 127),
        ("failed", "image_forbidden", None, 126),
        ("failed", "engine_unavailable", None, 125),
        ("failed", "a_reason_of_a_later_version", None, 125),
        ("cancelled", "cancelled_by_user", None, 130),
    ],
)
def test_the_exit_status_says_how_the_run_ended(
    tmp_path: Path, status: str, reason: str | None, exit_code: int | None, expected: int
) -> None:
    with serving(result(status, reason, exit_code)) as (_, url):
        ended = chaser(url, tmp_path, "true")
    assert ended.returncode == expected
    assert ended.stdout == b"hello\n"
    quiet = reason in (None, "nonzero_exit")
    assert (ended.stderr == b"") == quiet
    assert quiet or str(reason).encode() in ended.stderr


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (401, "unauthorized", 125),
        (403, "forbidden", 126),
        (413, "body_too_large", 126),
        (422, "invalid_request", 126),
        (429, "rate_limited", 125),
        (404, "image_not_found", 127),
        (503, "engine_unavailable", 125),
        (500, "internal_error", 125),
    ],
)
def test_the_exit_status_says_why_the_service_refused(
    tmp_path: Path, status: int, code: str, expected: int
) -> None:
    with serving(lambda answer: answer.refuse(status, code)) as (_, url):
        ended = chaser(url, tmp_path, "true")
    assert (ended.returncode, ended.stdout, ended.stderr) == (
        expected,
        b"",
        f"chaser: Told: {code}.\n".encode(),
    )


def test_every_fault_of_a_request_is_shown(tmp_path: Path) -> None:
    fields = [{"pointer": "/cwd", "reason": "must begin with /"}, {"pointer": "/user", "reason": "no"}]
    with serving(lambda answer: answer.refuse(422, "invalid_request", {"fields": fields})) as (_, url):
        ended = chaser(url, tmp_path, "true")
    assert b"\n  /cwd: must begin with /\n  /user: no\n" in ended.stderr


def test_a_wrong_key_is_told_and_not_shown(tmp_path: Path) -> None:
    with serving(result("succeeded", None, 0)) as (_, url):
        ended = chaser(url, tmp_path, "true", env={"CHASER_API_KEY": "sk_wrong"})
    assert ended.returncode == 125
    assert b"sk_wrong" not in ended.stdout + ended.stderr


def test_no_service_at_all(tmp_path: Path) -> None:
    ended = chaser("http://127.0.0.1:9", tmp_path, "true")
    assert ended.returncode == 125
    assert b"chaser serve" in ended.stderr


def test_an_answer_that_is_not_chasers(tmp_path: Path) -> None:
    with serving(lambda answer: answer.say(502, b"<h1>Bad gateway</h1>")) as (_, url):
        ended = chaser(url, tmp_path, "true")
    assert ended.returncode == 125
    assert b"CHASER_API_URL" in ended.stderr


def test_a_lost_connection_names_the_job(tmp_path: Path) -> None:
    def play(answer: Answer) -> None:
        answer.begin()
        answer.output("so far\n")

    with serving(play) as (_, url):
        ended = chaser(url, tmp_path, "true")
    assert (ended.returncode, ended.stdout) == (125, b"so far\n")
    assert f"chaser jobs get {JOB}".encode() in ended.stderr


def test_output_comes_out_as_it_went_in(tmp_path: Path) -> None:
    """Also where JSON holds characters that some take for line ends, and where an event comes in pieces."""
    text = "a\u2028b\x0bc\rd\n€ \N{PILE OF POO}\x1b[31mred\n"

    def play(answer: Answer) -> None:
        answer.begin()
        answer.raw(b": a comment\n\nevent: output\r\ndata: ")
        answer.raw(
            json.dumps({"seq": 1, "stream": "output", "data": text}, ensure_ascii=False).encode()
            + b"\r\n\r\n"
        )
        answer.event("something_new", {"stream": "output", "data": "x"})
        answer.result()

    with serving(play) as (_, url):
        ended = chaser(url, tmp_path, "true", env={"LC_ALL": "C"})
    assert (ended.returncode, ended.stdout) == (0, text.encode())


def test_split_streams_go_where_they_belong(tmp_path: Path) -> None:
    def play(answer: Answer) -> None:
        answer.begin()
        answer.output("out\n", "stdout")
        answer.output("err\n", "stderr")
        answer.event("output", {"seq": 3, "stream": "gap", "data": "", "skipped": 77})
        answer.result()

    with serving(play) as (script, url):
        ended = chaser(url, tmp_path, "--split", "true")
    assert ended.stdout == b"out\n"
    assert ended.stderr.startswith(b"err\nchaser: 77 bytes")
    assert script.bodies[0]["streams"] == "split"


def forbidden(answer: Answer) -> None:
    answer.refuse(403, "forbidden")


@pytest.mark.parametrize(
    ("play", "expected"),
    [
        (result("failed", "nonzero_exit", 3), 3),
        (result("failed", "run_timeout", None), 124),
        (forbidden, 126),
        (Answer.begin, 125),
    ],
)
def test_json_prints_one_document_and_nothing_else(tmp_path: Path, play: Play, expected: int) -> None:
    with serving(play) as (_, url):
        ended = chaser(url, tmp_path, "--json", "true")
    document = json.loads(ended.stdout)
    assert ended.returncode == expected
    assert document.get("id") == JOB or document["error"]["code"] in ("forbidden", "connection_lost")


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["echo a b"], "echo a b"),
        (["--", "echo", "a b", "$HOME"], "echo 'a b' '$HOME'"),
        (["--", "a b"], "'a b'"),
        (["--", "ls", "-la"], "ls -la"),
    ],
)
def test_one_word_is_a_shell_command_and_words_after_the_dashes_are_arguments(
    tmp_path: Path, words: Sequence[str], command: str
) -> None:
    with serving(result("succeeded", None, 0)) as (script, url):
        assert chaser(url, tmp_path, *words).returncode == 0
    assert script.bodies == [{"command": command}]


def test_every_option_becomes_a_field(tmp_path: Path) -> None:
    options = (
        "--ephemeral --image i --profile p --network none --isolation strict --cwd /c --timeout 15m --queue-timeout 500ms "
        "--env A=b=c --env HERE --secret TOKEN --stdin --user 1:2 --cpus 1.5 --memory 4g --pids 9 --pull never"
    )
    with serving(result("succeeded", None, 0)) as (script, url):
        words = [*options.split(), "true"]
        ended = chaser(url, tmp_path, *words, stdin="ü\n".encode(), env={"HERE": "h", "TOKEN": "t"})
    assert ended.returncode == 0
    assert script.bodies == [
        {
            "command": "true",
            "ephemeral": True,
            "image": "i",
            "profile": "p",
            "network": "none",
            "isolation": "strict",
            "cwd": "/c",
            "timeout_ms": 900_000,
            "queue_timeout_ms": 500,
            "env": {"A": "b=c", "HERE": "h"},
            "secrets": {"TOKEN": "t"},
            "stdin": "ü\n",
            "user": "1:2",
            "limits": {"cpus": 1.5, "memory": "4g", "pids": 9},
            "pull": "never",
        }
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["echo", "a"], b"quotes"),
        (["--timeout", "soon", "true"], b"15m"),
        (["--env", "NOT_SET_HERE", "true"], b"NOT_SET_HERE"),
        (["--secret", "A=hunter2", "true"], b"--secret takes a name"),
        (["--stdin", "cat"], b"UTF-8"),
        ([], b"Missing argument"),
    ],
)
def test_a_wrong_use_says_what_to_write(tmp_path: Path, words: Sequence[str], says: bytes) -> None:
    ended = chaser("http://127.0.0.1:9", tmp_path, *words, stdin=b"\xff")
    assert ended.returncode == 2
    assert says in ended.stderr


def started(url: str, folder: Path, *words: str) -> subprocess.Popen[bytes]:
    """The program, once its command has printed a line."""
    process = subprocess.Popen(
        [sys.executable, "-m", "chaser", "exec", *words, "sleep 1000"],
        env=environ(url, folder),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    return process


def until_cancelled(answer: Answer) -> None:
    answer.begin()
    answer.output("begun\n")
    assert answer.script.cancelled.wait(PATIENCE)
    answer.output("last words\n")
    answer.result("cancelled", "cancelled_by_user", None)


def until_left(answer: Answer) -> None:
    answer.begin()
    answer.output("begun\n")
    answer.wait_until_left()


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_cancels_the_run_and_waits_for_its_end(
    tmp_path: Path, number: signal.Signals, expected: int
) -> None:
    with serving(until_cancelled) as (script, url), started(url, tmp_path) as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
        assert script.cancelled.is_set()
    assert process.returncode == expected
    assert out == b"last words\n"
    assert b"is cancelled" in err


def test_a_second_interrupt_leaves_at_once(tmp_path: Path) -> None:
    with serving(until_left) as (script, url), started(url, tmp_path) as process:
        process.send_signal(signal.SIGINT)
        assert script.cancelled.wait(PATIENCE)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
        assert script.left.wait(PATIENCE)
    assert process.returncode == 130


def test_when_nobody_reads_the_output_any_more_the_connection_ends(tmp_path: Path) -> None:
    """As in `chaser exec … | head -1`: the closed connection is what cancels the run."""
    reader_has_left = threading.Event()

    def play(answer: Answer) -> None:
        answer.begin()
        answer.output("begun\n")
        assert reader_has_left.wait(PATIENCE)
        answer.output("more\n")
        answer.wait_until_left()

    with serving(play) as (script, url), started(url, tmp_path) as process:
        assert process.stdout is not None
        process.stdout.close()
        reader_has_left.set()
        assert process.wait(PATIENCE) == 141
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert script.left.wait(PATIENCE)


def test_the_first_key_serves_on_this_machine_only(tmp_path: Path) -> None:
    data = tmp_path / ".local" / "share" / "chaser"
    data.mkdir(parents=True)
    (data / "first.key").write_text(f"{KEY}\n")
    with serving(result("succeeded", None, 0)) as (_, url):
        assert chaser(url, tmp_path, "true", env={"CHASER_API_KEY": ""}).returncode == 0
    elsewhere = chaser("http://chaser.example", tmp_path, "true", env={"CHASER_API_KEY": ""})
    assert elsewhere.returncode == 125
    assert b"CHASER_API_KEY" in elsewhere.stderr


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(tmp_path: Path) -> None:
    proxy = {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    with serving(result("succeeded", None, 0)) as (_, url):
        assert chaser(url, tmp_path, "true", env=proxy).returncode == 0
