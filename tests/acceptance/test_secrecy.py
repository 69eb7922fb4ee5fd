"""What a request keeps secret: it is in the sandbox, and nowhere else."""

import json
import subprocess
from collections.abc import Mapping

import pytest

from tests.acceptance.machine import processes_with
from tests.acceptance.service import Service, marker

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return {"CHASER_LOG_LEVEL": "debug"}


def at_rest(service: Service) -> bytes:
    """All files of the data directory, the database's write-ahead log among them."""
    return b"\n".join(path.read_bytes() for path in service.data_dir.rglob("*") if path.is_file())


@pytest.mark.parametrize("size", [0, 60_000])
def test_env_secrets_and_stdin_are_in_the_sandbox_alone(service: Service, size: int) -> None:
    """Whether the launch is short, or so long that it goes through the sandbox's own memory."""
    env, secret, stdin = marker(), marker(), marker()
    job = service.begin(
        'test -n "$PLAIN$SECRET" && read -r line && sleep 60',
        env={"PLAIN": env + "x" * size},
        secrets={"SECRET": secret},
        stdin=f"{stdin}\n",
    )
    (container,) = service.containers(running=True)
    told = json.dumps(service.docker.inspect(container))
    told += service.docker("top", container, "-eo", "pid,args")
    told += service.docker("logs", container)
    told += service.docker("diff", container)
    told += service.docker("ps", "--all", "--no-trunc", "--format", "{{json .}}")
    told += service.job(job).__repr__() + service.events(job).__repr__() + service.jobs().__repr__()
    told += subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    service.cancel(job)
    told += service.job(job).__repr__() + service.log
    rest = at_rest(service)
    for word in (env, secret, stdin):
        assert word not in told
        assert word.encode() not in rest
        assert processes_with(word) == []


def test_the_names_of_env_and_secrets_are_shown_and_their_values_are_not(service: Service) -> None:
    answer = service.run("true", env={"PLAIN": "visible"}, secrets={"SECRET": "hidden-value"})
    asked = service.job(answer["id"])["input"]
    assert (asked["env"], asked["secrets"]) == ({"PLAIN": "***"}, {"SECRET": "***"})
    assert "stdin" not in asked


def test_values_reach_the_command_and_its_children(service: Service) -> None:
    command = 'sh -c \'test "$SECRET" = hidden-value && test "$PLAIN" = plain && cat\''
    answer = service.run(
        command, env={"PLAIN": "plain"}, secrets={"SECRET": "hidden-value"}, stdin="given\nnot ended"
    )
    assert (answer["exit_code"], answer["output"]) == (0, "given\nnot ended")


def test_a_secret_is_masked_in_the_answer_the_logs_and_the_database(service: Service) -> None:
    """Even where it is printed in two pieces, on both streams, and without a line's end."""
    secret = marker()
    half = len(secret) // 2
    command = f'echo "a $SECRET b"; echo "$SECRET" >&2; printf %s {secret[:half]}; sleep 0.3; printf %s {secret[half:]}'
    # the command itself is shown, and holds the halves alone
    answer = service.run(command, secrets={"SECRET": secret})
    assert answer["output"] == "a *** b\n***\n***"
    assert service.output(answer["id"]) == b"a *** b\n***\n***"
    assert (answer["output_bytes"], answer["output_truncated"]) == (15, False)
    assert secret not in "".join(frame["data"] for frame in service.frames(answer["id"]))
    assert secret.encode() not in at_rest(service)
    assert secret not in service.log


def test_a_secret_is_masked_in_the_stream_of_events(service: Service) -> None:
    secret = marker()
    body = {"command": 'echo "a $SECRET b"; exit 3', "secrets": {"SECRET": secret}}
    answer = service.http.post("/v1/exec", json=body, headers={"Accept": "text/event-stream"})
    assert "a *** b" in answer.text
    assert secret not in answer.text


def test_keys_are_stored_as_hashes_and_never_logged(service: Service) -> None:
    made = service.http.post("/v1/keys", json={"name": "one", "scopes": ["jobs.read"]}).json()["key"]
    for key in (made, service.key):
        secret_part = key[11:]
        assert secret_part not in service.log
        data = service.data_dir
        for path in data.rglob("*"):
            if path.is_file() and path.name != "first.key":
                assert secret_part.encode() not in path.read_bytes(), path
    assert secret_part not in service.http.get("/v1/keys").text


def test_files_of_the_data_directory_are_for_their_owner_alone(service: Service) -> None:
    assert service.data_dir.stat().st_mode & 0o077 == 0
    for name in ("first.key", "secret.key"):
        assert (service.data_dir / name).stat().st_mode & 0o777 == 0o600
