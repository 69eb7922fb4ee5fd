"""What clients may send, without a server."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaser.api.body import Body
from chaser.errors import Rejected
from chaser.jobs.kinds.exec import ExecRequest
from chaser.jobs.kinds.sandbox_request import LimitsRequest
from chaser.jobs.kinds.schema import LONGEST
from chaser.sandboxes.spec import Isolation, Network, PullPolicy, Streams

CONTEXT: dict[str, object] = {
    "timeout_ms": 1000,
    "queue_timeout_ms": 1000,
    "profiles": frozenset({"default", "large"}),
}


def body(document: object) -> Body:
    return Body(json.dumps(document).encode(), document)


def parse(**fields: object) -> ExecRequest:
    return body({"command": "true", **fields}).parse(ExecRequest, CONTEXT)


def faults(**fields: object) -> dict[str, str]:
    with pytest.raises(Rejected) as caught:
        parse(**fields)
    assert caught.value.status == 422
    return {fault.pointer: fault.reason for fault in caught.value.fields}


def test_every_field_arrives() -> None:
    asked = parse(
        image="ghcr.io/a/b:1",
        pull="always",
        profile="large",
        timeout_ms=7,
        queue_timeout_ms=8,
        cwd="/src",
        env={"A": "1"},
        secrets={"B": "2"},
        stdin="in",
        user="1000:100",
        network="none",
        isolation="strict",
        limits={"cpus": 0.5, "memory": "512m", "pids": 10, "disk": 1024},
        streams="split",
        ephemeral=True,
        inputs=[{"upload": "upl_1", "path": "src"}],
        artifacts=["**/*.xml"],
        keep_on_failure=False,
    )
    assert (asked.image, asked.pull, asked.profile) == ("ghcr.io/a/b:1", PullPolicy.ALWAYS, "large")
    assert (asked.timeout_ms, asked.queue_timeout_ms, asked.cwd, asked.user) == (7, 8, "/src", "1000:100")
    assert (asked.env, asked.secrets, asked.stdin) == ({"A": "1"}, {"B": "2"}, "in")
    assert (asked.network, asked.isolation, asked.streams) == (
        Network.NONE,
        Isolation.STRICT,
        Streams.SPLIT,
    )
    assert asked.limits == LimitsRequest(cpus=0.5, memory=512 << 20, pids=10, disk=1024)
    assert (asked.inputs or [])[0].path == "src"
    assert asked.artifacts == ["**/*.xml"]


def test_null_is_as_if_left_out() -> None:
    fields = [name for name in ExecRequest.model_fields if name != "command"]
    assert parse(**dict.fromkeys(fields)) == parse()


@pytest.mark.parametrize(
    ("field", "value", "pointer"),
    [
        ("timeout_ms", "5", "/timeout_ms"),
        ("timeout_ms", True, "/timeout_ms"),
        ("timeout_ms", 5.0, "/timeout_ms"),
        ("timeout_ms", 0, "/timeout_ms"),
        ("timeout_ms", 1001, "/timeout_ms"),
        ("timeout_ms", 10**100, "/timeout_ms"),
        ("queue_timeout_ms", 1001, "/queue_timeout_ms"),
        ("command", "", "/command"),
        ("command", 5, "/command"),
        ("command", "é" * (LONGEST // 2 + 1), "/command"),
        ("ephemeral", 1, "/ephemeral"),
        ("ephemeral", "true", "/ephemeral"),
        ("image", "", "/image"),
        ("image", "-v", "/image"),
        ("image", "docker.io/UPPER", "/image"),
        ("image", "a b", "/image"),
        ("image", "$(id)", "/image"),
        ("image", "x" * 1000, "/image"),
        ("pull", "often", "/pull"),
        ("profile", "huge", "/profile"),
        ("cwd", "src", "/cwd"),
        ("cwd", "/" + "x" * 4096, "/cwd"),
        ("env", {"A=B": "x"}, "/env/A=B"),
        ("env", {"1A": "x"}, "/env/1A"),
        ("env", {"": "x"}, "/env/"),
        ("env", {"A\n": "x"}, "/env/A\n"),
        ("env", {"A": 1}, "/env/A"),
        ("env", {"A": "x" * (LONGEST + 1)}, "/env/A"),
        ("env", ["A=B"], "/env"),
        ("user", "-u", "/user"),
        ("user", "root:root", "/user"),
        ("user", "1000:", "/user"),
        ("user", "4294967295", "/user"),
        ("user", "a b", "/user"),
        ("stdin", 5, "/stdin"),
        ("network", "host", "/network"),
        ("isolation", "privileged", "/isolation"),
        ("limits", {"memory": "4x"}, "/limits/memory"),
        ("limits", {"memory": "0"}, "/limits/memory"),
        ("limits", {"memory": -1}, "/limits/memory"),
        ("limits", {"memory": True}, "/limits/memory"),
        ("limits", {"memory": 1.5}, "/limits/memory"),
        ("limits", {"memory": "999999999999999t"}, "/limits/memory"),
        ("limits", {"cpus": 0}, "/limits/cpus"),
        ("limits", {"cpus": "2"}, "/limits/cpus"),
        ("limits", {"gpus": 1}, "/limits/gpus"),
        ("limits", 5, "/limits"),
        ("streams", "both", "/streams"),
        ("artifacts", "x", "/artifacts"),
        ("inputs", [{"upload": "u"}], "/inputs/0/path"),
        ("inputs", [{"upload": "u", "path": "a/../../b"}], "/inputs/0/path"),
        ("inputs", [{"upload": "u", "path": "a"}] * 101, "/inputs"),
        ("artifacts", [".."], "/artifacts/0"),
        ("artifacts", ["x" * 5000], "/artifacts/0"),
        ("workspace", "a/b", "/workspace"),
        ("workspace", "-a", "/workspace"),
        ("workspace", "w" * 65, "/workspace"),
        ("workspace_mode", "shared", "/workspace_mode"),
        ("Command", "true", "/Command"),
    ],
)
def test_a_fault_is_named_by_its_place(field: str, value: object, pointer: str) -> None:
    assert list(faults(**{field: value})) == [pointer]


def test_faults_do_not_repeat_values() -> None:
    """They may be secrets."""
    named = faults(env={"A": "hunter2" + "x" * LONGEST}, secrets={"B": ["hunter3"]}, stdin={"s": "hunter4"})
    assert "hunter" not in str(named)


def test_secrets_have_a_bound_in_all() -> None:
    named = {f"S{n}": "x" * 100_000 for n in range(2)}
    assert "in all" in faults(secrets=named)["/secrets"]
    parse(secrets={"S0": "x" * 100_000})


def test_a_name_stands_in_env_or_in_secrets() -> None:
    assert "A" in faults(env={"A": "1"}, secrets={"A": "2"})["/secrets"]


def test_a_request_shows_no_secret_in_its_repr() -> None:
    shown = repr(parse(env={"A": "hunter2"}, secrets={"B": "hunter3"}, stdin="hunter4"))
    assert "hunter" not in shown


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(sorted(ExecRequest.model_fields)), _json))
def test_any_document_is_either_read_or_refused_with_its_faults(document: dict[str, object]) -> None:
    with contextlib.suppress(Rejected):
        assert body(document).parse(ExecRequest, CONTEXT).command == document["command"]
        return
    with pytest.raises(Rejected) as caught:
        body(document).parse(ExecRequest, CONTEXT)
    assert caught.value.status == 422
    assert caught.value.fields
    assert all(fault.pointer[:1] in {"", "/"} for fault in caught.value.fields)
