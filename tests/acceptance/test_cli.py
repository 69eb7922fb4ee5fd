"""The program as a person uses it: a real service, real containers, the real command line."""

import json
import signal
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.images import docker, small_image
from tests.running_service import PATIENCE, RunningService, running_service

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningService]:
    with running_service(tmp_path_factory.mktemp("service")) as running:
        yield running


def test_output_and_exit_status_are_the_commands(service: RunningService) -> None:
    ended = service.chaser("exec", "echo out; echo err >&2; exit 3")
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, b"out\nerr\n", b"")


def test_split_streams_come_out_apart(service: RunningService) -> None:
    ended = service.chaser("exec", "--split", "echo out; echo err >&2")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"out\n", b"err\n")


def test_environment_stdin_and_arguments_arrive_as_given(service: RunningService) -> None:
    script = 'read line; printf "%s|%s|%s" "$A" "$line" "$1"'
    words = ("exec", "--env", "A=1 2", "--stdin", "--", "sh", "-c", script, "sh", "a 'b'")
    ended = service.chaser(*words, stdin="grüße\n".encode())
    assert (ended.returncode, ended.stdout.decode()) == (0, "1 2|grüße|a 'b'")


def test_a_secret_is_masked_in_what_comes_back(service: RunningService) -> None:
    ended = service.chaser("exec", "--secret", "TOKEN", 'echo "<$TOKEN>"', env={"TOKEN": "hunter2hunter2"})
    assert (ended.returncode, ended.stdout) == (0, b"<***>\n")


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        (["--timeout", "500ms", "sleep 100"], 124, "run_timeout"),
        (["--memory", "16m", "tail /dev/zero"], 137, "out_of_memory"),
        (["--pull", "never", "--image", "no-such-image:1", "true"], 127, "image_not_found"),
    ],
)
def test_an_end_that_is_not_the_commands_own_has_its_own_status(
    service: RunningService, words: list[str], status: int, reason: str
) -> None:
    ended = service.chaser("exec", *words)
    assert ended.returncode == status
    assert ended.stdout == b""
    assert b"chaser: " in ended.stderr
    document = json.loads(service.chaser("exec", "--json", *words).stdout)
    assert reason in (document.get("reason"), document.get("error", {}).get("code"))


def test_what_the_profile_does_not_allow_is_refused(service: RunningService) -> None:
    ended = service.chaser("exec", "--isolation", "sudo", "--network", "internet", "true")
    assert ended.returncode == 126
    assert b"/isolation" in ended.stderr
    assert b"/network" in ended.stderr


def test_json_is_one_document(service: RunningService) -> None:
    document = json.loads(service.chaser("exec", "--json", "echo hello").stdout)
    assert (document["status"], document["exit_code"], document["output"]) == ("succeeded", 0, "hello\n")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_is_cancelled_and_leaves_nothing(
    service: RunningService, number: signal.Signals, status: int
) -> None:
    with subprocess.Popen(
        service.command("exec", "echo begun; sleep 1000"),
        env=service.environ,
        cwd=service.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(number)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == status
    newest = json.loads(service.chaser("jobs", "list", "--limit", "1", "--json").stdout)["data"][0]
    assert (newest["status"], newest["reason"]) == ("cancelled", "cancelled_by_user")
    assert docker("ps", "--all", "--quiet", "--filter", f"label=chaser.sandbox={newest['session_id']}") == ""


def test_a_job_can_be_read_afterwards(service: RunningService) -> None:
    job = json.loads(service.chaser("exec", "--json", "printf 'a\\377b'").stdout)["id"]
    assert json.loads(service.chaser("jobs", "get", job, "--json").stdout)["status"] == "succeeded"
    assert service.chaser("jobs", "logs", job).stdout == b"a\xffb"
    assert job.encode() in service.chaser("jobs", "list").stdout
    again = service.chaser("jobs", "cancel", job)
    assert again.returncode == 125
    assert again.stderr != b""


def test_keys_are_made_listed_and_revoked_without_a_key(service: RunningService) -> None:
    made = json.loads(
        service.chaser("keys", "create", "--name", "ci", "--scope", "exec.write", "--json").stdout
    )
    assert set(made) == {"id", "name", "key", "scopes", "created_at"}
    assert made["scopes"] == ["exec.write"]
    with_it = {"CHASER_API_URL": service.url, "CHASER_API_KEY": made["key"]}
    assert service.chaser("exec", "true", env=with_it).returncode == 0
    assert service.chaser("jobs", "list", env=with_it).returncode == 126, "it has not that scope"
    listed = service.chaser("keys", "list").stdout
    assert made["id"].encode() in listed
    assert made["key"].encode() not in listed
    assert service.chaser("keys", "revoke", made["id"]).returncode == 0
    assert service.chaser("exec", "true", env=with_it).returncode == 125
    assert service.chaser("keys", "revoke", "key_none").returncode == 1


def test_a_key_needs_scopes_that_there_are(service: RunningService) -> None:
    for words in (
        ["--name", "x"],
        ["--name", "x", "--scope", "exec.wrote"],
        ["--name", "x", "--full", "--scope", "exec.write"],
    ):
        ended = service.chaser("keys", "create", *words)
        assert ended.returncode == 2
        assert b"scope" in ended.stderr


def test_the_doctor_finds_a_running_service_well(service: RunningService) -> None:
    ended = service.chaser("doctor", "--json")
    report = json.loads(ended.stdout)
    states = {check["check"]: check["state"] for check in report["checks"]}
    assert (ended.returncode, report["ok"]) == (0, True), ended.stdout
    assert states["docker"] == states["image"] == states["store"] == states["port"] == "ok"


def test_the_doctor_names_what_is_wrong_and_how_to_mend_it(service: RunningService, tmp_path: Path) -> None:
    ended = service.chaser("doctor", env={"CHASER_DOCKER_HOST": f"unix://{tmp_path}/no.sock"})
    assert ended.returncode == 1
    assert b"failed" in ended.stdout
    assert b"CHASER_DOCKER_HOST" in ended.stdout


@pytest.mark.parametrize(
    ("label", "check", "state", "said"),
    [
        ("chaser.runner.version=2.338.0", "runner image", "ok", "with runner 2.338.0"),
        ("chaser.test=doctor", "runner version", "warning", "does not say which runner it has"),
    ],
)
def test_the_doctor_says_which_runner_the_image_has(
    service: RunningService, label: str, check: str, state: str, said: str
) -> None:
    image = docker("commit", "--change", f"LABEL {label}", made := docker("create", small_image(), "true"))
    try:
        ended = service.chaser("doctor", "--json", env={"CHASER_PROFILES__DEFAULT__RUNNER_IMAGE": image})
        (found,) = [each for each in json.loads(ended.stdout)["checks"] if each["check"] == check]
        assert found["state"] == state
        assert said in found["message"]
    finally:
        docker("rm", made)
        docker("rmi", image)


def test_the_doctor_reports_a_wrong_configuration_whole(service: RunningService) -> None:
    ended = service.chaser("doctor", "--json", env={"CHASER_PORT": "x", "CHASER_FOO": "1"})
    assert ended.returncode == 1
    assert len(json.loads(ended.stdout)["checks"]) == 2


def test_serve_refuses_a_wrong_configuration_before_anything_starts(service: RunningService) -> None:
    ended = service.chaser("serve", env={"CHASER_PORT": "x", "CHASER_FOO": "1"})
    assert ended.returncode != 0
    assert b"CHASER_PORT" in ended.stderr
    assert b"CHASER_FOO" in ended.stderr
    assert b"Traceback" not in ended.stderr
