"""The set-up: what a newcomer runs before anything else works."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False
    )


def image_id(name: str) -> str:
    return run("docker", "image", "inspect", "--format", "{{.Id}}", name).stdout.strip()


def test_make_alone_lists_every_target_for_people() -> None:
    listed = re.findall(r"^  make ([\w-]+) ", run("make").stdout, re.MULTILINE)
    daily = {"help", "demo", "test", "serve", "check", "setup", "images", "bench", "format", "chaos"}
    assert sorted(listed) == sorted(
        daily | {"image-runner", "images-local", "images-export", "images-import"}
    )


def test_an_engine_that_was_named_and_does_not_answer_is_named_in_one_sentence_and_nothing_is_installed(
    tmp_path: Path,
) -> None:
    result = run("scripts/setup-engine", env={"CHASER_DOCKER_HOST": f"unix://{tmp_path}/none.sock"})
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert f"no Docker engine answers at unix://{tmp_path}/none.sock" in result.stderr
    assert "unset CHASER_DOCKER_HOST" in result.stderr


@pytest.mark.docker
def test_an_engine_that_answers_is_left_alone() -> None:
    result = run("scripts/setup-engine")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.docker
@pytest.mark.parametrize("name", ["small", "default"])
def test_an_image_that_is_there_is_not_built_again(name: str) -> None:
    assert run(f"images/{name}/build").returncode == 0
    before = image_id(f"chaser-{name}:latest")
    again = run(f"images/{name}/build")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert image_id(f"chaser-{name}:latest") == before


@pytest.mark.docker
def test_the_default_image_has_the_tools_that_ci_commands_expect() -> None:
    tools = "bash git curl python3 pip node npm npx gcc g++ make jq zstd unzip apt-get"
    found = run(
        "docker", "run", "--rm", "--network", "none", "chaser-default:latest", "which", *tools.split()
    )
    assert found.returncode == 0, f"of {tools} only these are there: {found.stdout}"


@pytest.mark.docker
@pytest.mark.parametrize("name", ["small", "default"])
def test_any_user_may_write_where_a_sandbox_of_ours_begins(name: str) -> None:
    """The images' working directory serves root and uid 65534 alike."""
    image = f"chaser-{name}:latest"
    written = run(
        "docker", "run", "--rm", "--network", "none", "--user", "65534", image, "sh", "-c", "pwd; >made"
    )
    assert (written.returncode, written.stdout) == (0, "/workspace\n"), written.stderr
