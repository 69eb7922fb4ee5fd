"""Pipelines from files: what JSON knows, text where text is meant, and faults with their lines."""

import json
from pathlib import Path

import pytest

from chaser.cli import pipeline_file
from chaser.cli.failure import Failure


def parsed(text: str) -> pipeline_file.PipelineFile:
    return pipeline_file.parse("ci.yml", text)


def test_values_of_an_environment_stay_as_written() -> None:
    env = parsed(
        "env: {A: yes, B: 1.10, C: 0x10, D: ~, E: 2020-01-01, F: 'x', G: }\nsteps: [{command: a}]"
    ).input["env"]
    assert env == {"A": "yes", "B": "1.10", "C": "0x10", "D": "~", "E": "2020-01-01", "F": "x", "G": ""}


def test_other_values_have_their_types() -> None:
    text = "timeout_ms: 5000\nsteps:\n- {command: a, continue_on_error: true, name: 2020-01-01, cwd: null}"
    assert parsed(text).input == {
        "timeout_ms": 5000,
        "steps": [{"command": "a", "continue_on_error": True, "name": "2020-01-01", "cwd": None}],
    }


def test_steps_may_share_what_they_have_in_common() -> None:
    text = "steps:\n- &one {command: a, env: {A: 1}}\n- {<<: *one, command: b}\n- {<<: *one}\n- *one"
    assert parsed(text).input["steps"] == [
        {"command": command, "env": {"A": "1"}} for command in ("a", "b", "a", "a")
    ]


def test_json_is_read_as_json_and_has_lines_too() -> None:
    text = '{\n\t"steps": [\n\t\t{"command": "\\ud83d\\ude00\\/"}\n\t]\n}'
    pipeline = parsed(text)
    assert pipeline.input == json.loads(text)
    assert pipeline.lines["/steps/0/command"] == 3


def test_names_of_steps_are_counted_where_they_are_missing() -> None:
    assert parsed("steps: [{command: a}, {name: b, command: c}]").step_names == ["step 1", "b"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("steps:\n  - command: [", "ci.yml:2"),
        ("steps:\n  - a: 1\n    a: 2", "ci.yml:3: a is there twice"),
        ("steps:\n  - !!python/object/apply:os.system [id]", "ci.yml:2"),
        ("steps:\n  - &a [*a]", "ci.yml:2: a value holds itself"),
        ("steps:\n  - ? [a]\n    : 1", "ci.yml:2: a name must be text"),
        ("steps: [a]\n---\nsteps: [b]", "ci.yml:2"),
        ("", "no pipeline"),
        ("[]", "no pipeline"),
        ("steps: make", "no pipeline"),
        ("steps: []", "no pipeline"),
        ("steps: [a]\nx: \x01", "ci.yml"),
        (
            "a: &a [x,x,x,x,x,x,x,x,x]\n"
            + "".join(
                f"{n}: &{n} [{','.join([f'*{p}'] * 9)}]\n" for p, n in zip("abcdefg", "bcdefgh", strict=True)
            ),
            "too many",
        ),
    ],
)
def test_a_fault_says_where_it_is(text: str, says: str) -> None:
    with pytest.raises(Failure, match=says) as raised:
        parsed(text)
    assert raised.value.exit_status == 2


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="cannot be read"):
        pipeline_file.read(str(tmp_path / "none.yml"))


def test_a_refusal_is_told_with_the_lines_of_its_fields() -> None:
    pipeline = parsed("steps:\n  - command: a\n    env:\n      B-C: 1\n")
    fields = [
        {"pointer": "/input/steps/0/env/B-C", "reason": "is no name"},
        {"pointer": "/input/steps/0/timeout_ms", "reason": "is missing"},
        {"pointer": "/priority", "reason": "is wrong"},
    ]
    told = pipeline.located(Failure("invalid_request", "Refused.\n  old", 126, {"fields": fields})).message
    assert told.splitlines() == [
        "Refused.",
        "  ci.yml:4: /steps/0/env/B-C: is no name",
        "  ci.yml:2: /steps/0/timeout_ms: is missing",
        "  /priority: is wrong",
    ]
