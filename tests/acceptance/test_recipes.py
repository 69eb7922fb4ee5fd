"""The recipes of the README, run as they stand there: a run that went well passes the build, one that failed fails it."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from tests.acceptance.service import PROGRAM, Service, marker

pytestmark = pytest.mark.docker

README = Path(__file__).parents[2] / "README.md"
COMMAND = "npm ci && npm test"
"""What stands in the recipes, and is replaced by what the small image has."""


def recipes() -> Mapping[str, str]:
    """Shell programs, by where they come from."""
    section = README.read_text(encoding="utf-8").partition("## In CI\n")[2].partition("\n## ")[0]
    blocks = cast(
        "list[tuple[str, str]]", re.findall(r"^```(\w+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    )
    programs = {
        f"{language} {number}": _program(language, text) for number, (language, text) in enumerate(blocks)
    }
    assert all(COMMAND in program for program in programs.values())
    return programs


def _program(language: str, text: str) -> str:
    match language:
        case "yaml":
            jobs = cast("dict[str, dict[str, Any]]", yaml.safe_load(text))
            return "\n".join(line for job in jobs.values() for line in job["script"])
        case "groovy":
            return "\n".join(cast("list[str]", re.findall(r'^\s*sh "(.*)"$', text, re.MULTILINE)))
        case _:
            return text


def run(service: Service, folder: Path, program: str, *options: str) -> subprocess.CompletedProcess[str]:
    environ = {
        "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "CHASER_API_URL": service.base_url,
        "CHASER_API_KEY": service.key,
        "CI_PIPELINE_ID": marker(),
        "CI_PROJECT_PATH_SLUG": "my-project",
    }
    return subprocess.run(
        ["sh", *options, "-c", program],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_there_is_a_recipe_for_each() -> None:
    languages = [name.partition(" ")[0] for name in recipes()]
    assert sorted(languages) == ["groovy", "sh", "sh", "sh", "yaml"]
    assert sum("curl" in program for program in recipes().values()) == 2


# CI systems end a script at its first command that fails; a person's shell does not
each = pytest.mark.parametrize("name", recipes())
in_both = pytest.mark.parametrize("options", [("-e",), ()])


@each
def test_a_run_that_goes_well_passes(service: Service, tmp_path: Path, name: str) -> None:
    ended = run(service, tmp_path, recipes()[name].replace(COMMAND, "echo all is well"), "-e")
    assert ended.returncode == 0, ended.stderr
    assert "all is well" in ended.stdout + ended.stderr


@each
@in_both
def test_a_run_that_fails_fails_the_build(
    service: Service, tmp_path: Path, name: str, options: Sequence[str]
) -> None:
    failing = recipes()[name].replace(COMMAND, "echo all is lost; exit 3")
    ended = run(service, tmp_path, failing, *options)
    assert ended.returncode == (1 if "curl" in failing else 3)
    assert "all is lost" in ended.stdout + ended.stderr


@each
@in_both
@pytest.mark.parametrize("fault", ["CHASER_API_KEY=sk_wrong", "CHASER_API_URL=http://127.0.0.1:9"])
def test_a_run_that_could_not_be_had_fails_the_build(
    service: Service, tmp_path: Path, name: str, options: Sequence[str], fault: str
) -> None:
    (tmp_path / "result.json").write_text('{"status": "succeeded"}')
    assert run(service, tmp_path, f"{fault}\n{recipes()[name]}", *options).returncode != 0
