"""Input that cannot be meant: it is refused with what to mend, and has no effect."""

import base64
import re
import socket
from collections.abc import Generator, Iterator

import httpx
import pytest

from tests.acceptance.machine import SMALL
from tests.acceptance.service import Service, error_of

pytestmark = pytest.mark.docker

COMMAND: dict[str, object] = {"command": "true"}
REFUSED: dict[str, tuple[dict[str, object], set[str]]] = {
    "an unknown field": ({**COMMAND, "comand": "true"}, {"/comand"}),
    "an unknown field within": ({**COMMAND, "limits": {"ram": "4g"}}, {"/limits/ram"}),
    "no command": ({}, {"/command"}),
    "an empty command": ({"command": ""}, {"/command"}),
    "a command that is a number": ({"command": 7}, {"/command"}),
    "a command that is a list": ({"command": ["true"]}, {"/command"}),
    "a command that is null": ({"command": None}, {"/command"}),
    "a command with a NUL": ({"command": "echo a\0b"}, {"/command"}),
    "a command beyond 120 KiB": ({"command": "x" * (120 * 1024 + 1)}, {"/command"}),
    "a command beyond 120 KiB of UTF-8": ({"command": "é" * (60 * 1024 + 1)}, {"/command"}),
    "a value with a NUL": ({**COMMAND, "env": {"A": "\0"}}, {"/env/A"}),
    "stdin with a NUL": ({**COMMAND, "stdin": "a\0b"}, {"/stdin"}),
    "a value that is a number": ({**COMMAND, "env": {"A": 1}}, {"/env/A"}),
    "a value beyond 120 KiB": ({**COMMAND, "env": {"A": "x" * (120 * 1024 + 1)}}, {"/env/A"}),
    "an environment that is a list": ({**COMMAND, "env": ["A=1"]}, {"/env"}),
    "a name with =": ({**COMMAND, "env": {"A=B": "1"}}, {"/env/A=B"}),
    "a name with = among the secrets": ({**COMMAND, "secrets": {"A=B": "1"}}, {"/secrets/A=B"}),
    "a name with -": ({**COMMAND, "env": {"A-B": "1"}}, {"/env/A-B"}),
    "a name with a line's end": ({**COMMAND, "env": {"A\n": "1"}}, {"/env/A\n"}),
    "an empty name": ({**COMMAND, "env": {"": "1"}}, {"/env/"}),
    "an image with a command in it": ({**COMMAND, "image": "busybox; rm -rf /"}, {"/image"}),
    "an image with a substitution": ({**COMMAND, "image": "$(id)"}, {"/image"}),
    "an image with a back quote": ({**COMMAND, "image": "a`id`"}, {"/image"}),
    "an image with a pipe": ({**COMMAND, "image": "a|b"}, {"/image"}),
    "an image with a line's end": ({**COMMAND, "image": "busybox\n"}, {"/image"}),
    "an image that is an option": ({**COMMAND, "image": "--privileged"}, {"/image"}),
    "an image that climbs": ({**COMMAND, "image": "../../etc/passwd"}, {"/image"}),
    "an image in capitals": ({**COMMAND, "image": "BusyBox"}, {"/image"}),
    "an empty image": ({**COMMAND, "image": ""}, {"/image"}),
    "a timeout of 0": ({**COMMAND, "timeout_ms": 0}, {"/timeout_ms"}),
    "a negative timeout": ({**COMMAND, "timeout_ms": -1}, {"/timeout_ms"}),
    "a timeout beyond the limit": ({**COMMAND, "timeout_ms": 21_600_001}, {"/timeout_ms"}),
    "a timeout beyond 64 bits": ({**COMMAND, "timeout_ms": 10**30}, {"/timeout_ms"}),
    "a timeout as text": ({**COMMAND, "timeout_ms": "1000"}, {"/timeout_ms"}),
    "a timeout with a fraction": ({**COMMAND, "timeout_ms": 1.5}, {"/timeout_ms"}),
    "a timeout that is true": ({**COMMAND, "timeout_ms": True}, {"/timeout_ms"}),
    "a negative wait": ({**COMMAND, "queue_timeout_ms": -1}, {"/queue_timeout_ms"}),
    "a wait beyond the limit": ({**COMMAND, "queue_timeout_ms": 10**15}, {"/queue_timeout_ms"}),
    "negative memory": ({**COMMAND, "limits": {"memory": -1}}, {"/limits/memory"}),
    "memory in words": ({**COMMAND, "limits": {"memory": "much"}}, {"/limits/memory"}),
    "memory beyond the machine": ({**COMMAND, "limits": {"memory": "900t"}}, {"/limits/memory"}),
    "no processes": ({**COMMAND, "limits": {"pids": 0}}, {"/limits/pids"}),
    "no processor": ({**COMMAND, "limits": {"cpus": 0}}, {"/limits/cpus"}),
    "a profile that is none": ({**COMMAND, "profile": "large"}, {"/profile"}),
    "a looser isolation": ({**COMMAND, "isolation": "sudo"}, {"/isolation"}),
    "an isolation that is none": ({**COMMAND, "isolation": "off"}, {"/isolation"}),
    "a looser network": ({**COMMAND, "network": "internet"}, {"/network"}),
    "the host's network": ({**COMMAND, "network": "host"}, {"/network"}),
    "a relative directory": ({**COMMAND, "cwd": "etc"}, {"/cwd"}),
    "a user with a space": ({**COMMAND, "user": "root root"}, {"/user"}),
    "a user that is an option": ({**COMMAND, "user": "-u"}, {"/user"}),
    "a user beyond all ids": ({**COMMAND, "user": "4294967296"}, {"/user"}),
    "strict isolation with a user": ({**COMMAND, "isolation": "strict", "user": "root"}, {"/user"}),
    "a throwaway workspace": ({**COMMAND, "ephemeral": True, "workspace": "w"}, {"/workspace"}),
    "many at once": ({"command": 1, "env": {"=": "1"}, "x": 2}, {"/command", "/env/=", "/x"}),
}


@pytest.fixture
def untouched(service: Service) -> Generator[Service]:
    """A service on which the test has no effect at all: no job, no container."""
    before = [job["id"] for job in service.jobs()]
    yield service
    assert [job["id"] for job in service.jobs()] == before
    assert service.containers() == []


@pytest.mark.parametrize("what", REFUSED)
def test_a_request_with_faults_is_refused_with_the_place_of_each(untouched: Service, what: str) -> None:
    body, pointers = REFUSED[what]
    details = error_of(untouched.http.post("/v1/exec", json=body), 422, "invalid_request")
    assert {fault["pointer"] for fault in details["fields"]} == pointers
    assert all(fault["reason"] for fault in details["fields"])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"true;",
        b"{",
        b'{"command": "true"',
        b'{"command": NaN}',
        b"\x00\x01\x02",
        b'{"command": "\xff"}',
        b"command=true",
        b"[" * 200_000,
    ],
)
def test_a_body_that_is_not_json_is_malformed(untouched: Service, body: bytes) -> None:
    error_of(untouched.http.post("/v1/exec", content=body), 400, "malformed_json")


@pytest.mark.parametrize("body", [b"[]", b'"true"', b"null", b"7"])
def test_json_that_is_no_object_is_invalid(untouched: Service, body: bytes) -> None:
    error_of(untouched.http.post("/v1/exec", content=body), 422, "invalid_request")


@pytest.mark.parametrize("announced", [True, False])
def test_a_command_of_2_mib_is_too_large(untouched: Service, announced: bool) -> None:
    body = b'{"command": "' + b"x" * (2 << 20) + b'"}'

    def pieces() -> Iterator[bytes]:
        yield from (body[at : at + 65536] for at in range(0, len(body), 65536))

    answer = untouched.http.post("/v1/exec", content=body if announced else pieces())
    error_of(answer, 413, "body_too_large")


def test_a_command_and_values_of_120_kib_are_served(service: Service) -> None:
    """Just within the limit, where the kernel's own (128 KiB a string) is near."""
    command = 'printf %s "$A" | wc -c; #' + "x" * (120 * 1024 - 26)
    answer = service.run(command, env={"A": "é" * (60 * 1024)}, stdin="y" * 300_000)
    assert (answer["status"], answer["output"]) == ("succeeded", f"{120 * 1024}\n")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "Bearer",
        "Bearer sk_",
        "Bearer sk_" + "a" * 46,
        "Bearer ' OR 1=1 --",
        "Bearer \xff\xfe",
        "Basic " + base64.b64encode(b"root:root").decode(),
    ],
)
def test_a_missing_or_wrong_key_is_unauthorized(untouched: Service, header: str | None) -> None:
    headers = {} if header is None else {b"Authorization": header.encode("latin-1")}
    answer = httpx.post(f"{untouched.base_url}/v1/exec", json=COMMAND, headers=headers)
    error_of(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_key_with_one_character_changed_is_unauthorized(untouched: Service) -> None:
    key = untouched.key
    other = key[:20] + ("a" if key[20] != "a" else "b") + key[21:]
    answer = untouched.http.post("/v1/exec", json=COMMAND, headers={"Authorization": f"Bearer {other}"})
    error_of(answer, 401, "unauthorized")


def test_a_revoked_key_is_unauthorized_from_the_next_call_on(service: Service) -> None:
    made = service.http.post("/v1/keys", json={"name": "short-lived", "scopes": ["exec.write"]}).json()
    headers = {"Authorization": f"Bearer {made['key']}"}
    assert service.exec("true", headers=headers).status_code == 200
    revoked = service.http.delete(f"/v1/keys/{made['id']}")
    assert revoked.is_success, revoked.text
    error_of(service.exec("true", headers=headers), 401, "unauthorized")
    assert made["key"] not in service.log


def test_a_key_without_the_scope_is_forbidden(untouched: Service) -> None:
    made = untouched.http.post("/v1/keys", json={"name": "reader", "scopes": ["jobs.read"]}).json()
    error_of(untouched.exec("true", headers={"Authorization": f"Bearer {made['key']}"}), 403, "forbidden")


def test_a_field_of_a_later_version_is_refused_and_not_ignored(untouched: Service) -> None:
    details = error_of(untouched.exec("true", keep_on_failure=True), 422, "not_supported")
    assert details["not_supported"] == ["/keep_on_failure"]


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/exe", "/%00", "/v1/jobs/%2e"])
def test_a_path_that_is_none_says_where_the_paths_are(untouched: Service, path: str) -> None:
    answer = untouched.http.post(path, json=COMMAND)
    assert answer.status_code in {404, 405}, answer.text
    assert answer.json()["error"]["code"] in {"not_found", "job_not_found", "method_not_allowed"}


def test_an_image_that_is_nowhere_is_not_found_and_its_job_says_so(service: Service) -> None:
    answer = service.exec("true", image="chaser-no-such-image:latest", pull="never")
    details = error_of(answer, 404, "image_not_found")
    job = service.job(details["job"])
    assert (job["status"], job["reason"], job["session_id"]) == ("failed", "image_not_found", None)
    assert job["started_at"] is None


def test_a_registry_that_does_not_answer_is_unavailable_and_its_job_says_so(service: Service) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        image = f"127.0.0.1:{closed.getsockname()[1]}/nobody/nothing:1"
        answer = service.exec("true", image=image)
    details = error_of(answer, 503, "registry_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    job = service.job(details["job"])
    assert (job["status"], job["reason"]) == ("failed", "registry_unavailable")
    assert job["attempt"] == job["max_attempts"]


def test_an_image_without_a_shell_is_told_by_its_reason(service: Service) -> None:
    name = "chaser-no-shell:test"
    service.docker("import", "--change", "LABEL chaser.test=image", "-", name, stdin=b"\0" * 10240)
    try:
        answer = service.run("true", image=name, pull="never")
    finally:
        service.docker("rmi", "--force", name)
    assert (answer["status"], answer["reason"]) == ("failed", "image_has_no_shell")
    assert (answer["exit_code"], answer["output"]) == (None, "")


def test_a_user_that_the_image_does_not_know_is_told_by_a_reason(service: Service) -> None:
    answer = service.run("true", user="nosuchuser")
    assert (answer["status"], answer["reason"], answer["exit_code"]) == ("failed", "image_unusable", None)
    assert "nosuchuser" in answer["message"]


def test_a_directory_that_is_not_there_is_the_commands_failure(service: Service) -> None:
    answer = service.run("true", cwd="/no/such; touch /tmp/x")
    assert (answer["reason"], answer["exit_code"]) == ("nonzero_exit", 126)
    assert answer["output"] == "chaser: cannot change to the directory /no/such; touch /tmp/x\n"


def test_shell_characters_in_values_stay_what_they_are(service: Service) -> None:
    value = "$(touch /tmp/x) `id` '; exit 9; ' \" \\ \n #end 0 é"
    answer = service.run('printf %s "$A"; cat', env={"A": value}, stdin=value)
    assert (answer["exit_code"], answer["output"]) == (0, value * 2)


def test_no_error_shows_a_traceback_or_a_path_of_the_program(service: Service) -> None:
    """All the refusals above went into one log; it has no traceback either."""
    assert re.search(r"Traceback|\.py\"", service.log) is None
    assert SMALL in service.run("true")["image"]
