"""The runner image's recipe, built as `make image-runner` builds it, on stand-ins for the two images that only a registry
has: Debian with a stub in the runner's place, and Debian's own Node.js where the official image has its. Its packages come
from Debian's mirror, as those of the default image do.
"""

import os
import re
import subprocess
from collections.abc import Generator, Mapping
from pathlib import Path

import pytest

from tests.images import docker

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
BASE, NODE, IMAGE, OWN = (f"chaser-build-test:{name}" for name in ("base", "node", "runner", "own"))
VERSION = "9.8.7"
"""No release that there could be, so that nothing but the stub can have said it."""

BASE_RECIPE = f"""
FROM chaser-default:latest
RUN apt-get update && apt-get install -y --no-install-recommends sudo
RUN useradd --uid 1001 --create-home --shell /bin/bash runner \\
    && echo 'runner ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/runner \\
    && mkdir /home/runner/bin && cd /home/runner \\
    && printf '#!/bin/sh\\nmkdir -p _diag\\n[ "$1" = --version ] && echo {VERSION}\\n' >bin/Runner.Listener \\
    && printf '#!/bin/sh\\n' >run.sh \\
    && chmod 755 run.sh bin/Runner.Listener \\
    && chown -R runner /home/runner
ENV ACTIONS_RUNNER_PRINT_LOG_TO_STDOUT=1 ImageOS=ubuntu24
WORKDIR /home/runner
USER runner
"""
NODE_RECIPE = """
FROM chaser-default:latest
RUN cp --dereference /usr/bin/node /usr/local/bin/node \\
    && cp --archive /usr/share/nodejs /usr/local/lib/node_modules
"""


def build(recipe: str, name: str) -> None:
    # The older builder is what a plain Debian has, and warns of its age on stderr.
    docker(
        "build",
        "--quiet",
        "--force-rm",
        "--label",
        "chaser.test=build",
        "--tag",
        name,
        "-",
        stdin=recipe.encode(),
    )


def make(variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    words = [f"{name}={value}" for name, value in variables.items()]
    command = ["make", "--no-print-directory", "image-runner", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def log() -> str:
    cache = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    return Path(cache, "chaser/images/runner.log").read_text()


@pytest.fixture(scope="module")
def stand_ins() -> Generator[Mapping[str, str]]:
    build(BASE_RECIPE, BASE)
    build(NODE_RECIPE, NODE)
    yield {"RUNNER_VERSION": VERSION, "BASE": BASE, "NODE_IMAGE": NODE, "IMAGE": IMAGE}
    docker("rmi", "--force", BASE, NODE)


@pytest.fixture(scope="module")
def image(stand_ins: Mapping[str, str]) -> Generator[str]:
    done = make(stand_ins)
    assert done.returncode == 0, done.stderr + log()
    assert f"{IMAGE} is built, with runner {VERSION} on {BASE}" in done.stderr
    yield IMAGE
    docker("rmi", "--force", IMAGE)


def inside(image: str, command: str, *options: str) -> str:
    """What a command prints in a container of it, as the image's own user."""
    return docker(
        "run", "--rm", "--init", "--label", "chaser.test=build", *options, image, "sh", "-c", command
    )


def test_it_has_what_workflows_expect(image: str) -> None:
    tools = (
        "git git-lfs zstd jq unzip zip xz curl wget gcc g++ make pkg-config python python3 pip node npm npx "
        "ssh rsync file gpg sudo"
    )
    missing = f"for tool in {tools}; do command -v $tool >/dev/null || echo $tool; done"
    assert not inside(image, missing, "--network", "none")
    versions = "node --version && npm --version && git lfs version && python3 -m venv /tmp/v && /tmp/v/bin/pip --version"
    assert re.match(r"v\d+\.", inside(image, versions, "--network", "none"))


def test_it_runs_as_the_runner_who_may_write_where_tools_are_kept(image: str) -> None:
    script = """
        id -un; pwd
        touch "$RUNNER_TOOL_CACHE/x" "$AGENT_TOOLSDIRECTORY/y" /home/runner/.setup_info && ls /opt/hostedtoolcache
        mkdir /tmp/p && cd /tmp/p && npm init --yes >/dev/null && npm install --global . >/dev/null
        ls -d /usr/local/lib/node_modules/p
        sudo -n id -un
    """
    said = inside(image, script, "--network", "none").splitlines()
    assert said == ["runner", "/home/runner", "x", "y", "/usr/local/lib/node_modules/p", "root"]


def test_the_locale_and_the_time_zones_are_there(image: str) -> None:
    script = "locale charmap; TZ=Asia/Tokyo date -d 2026-01-01T00:00Z +%H"
    assert inside(image, script, "--network", "none").splitlines() == ["UTF-8", "09"]


def test_it_says_which_runner_it_has_and_on_what(image: str) -> None:
    labels = docker("image", "inspect", "--format", "{{json .Config.Labels}}", image)
    assert f'"chaser.runner.version":"{VERSION}"' in labels
    assert f'"chaser.runner.base":"{BASE}"' in labels


def test_what_looking_for_the_version_leaves_behind_is_not_in_it(image: str) -> None:
    assert inside(image, "ls -A /home/runner/_diag 2>&1 || true", "--network", "none").endswith(
        "No such file or directory"
    )


def containers() -> set[str]:
    return set(docker("ps", "--all", "--quiet", "--filter", f"ancestor={BASE}").split())


def test_a_base_with_another_runner_than_was_named_is_refused_and_leaves_no_container(
    stand_ins: Mapping[str, str],
) -> None:
    before = containers()
    done = make({**stand_ins, "RUNNER_VERSION": "9.8.6", "IMAGE": "chaser-build-test:never"})
    assert done.returncode != 0
    assert "building chaser-build-test:never failed" in done.stderr
    assert "this base does not have runner 9.8.6" in log()
    assert containers() == before


def test_the_documented_three_lines_make_an_image_of_ones_own(image: str, tmp_path: Path) -> None:
    page = (ROOT / "docs/images.md").read_text()
    (recipe,) = re.findall(r"```dockerfile\n(.*?)```", page, re.DOTALL)
    # A small package in the place of one that would bring hundreds of megabytes.
    recipe = recipe.replace("chaser-runner:latest", image).replace("ffmpeg", "tree")
    (tmp_path / "Dockerfile").write_text(recipe)
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/mine").write_text("mine\n")
    docker("build", "--quiet", "--force-rm", "--tag", OWN, str(tmp_path))
    try:
        script = "id -un; command -v tree; cat /opt/hostedtoolcache/mine; echo >>/opt/hostedtoolcache/mine && echo writable"
        assert inside(OWN, script, "--network", "none").splitlines() == [
            "runner",
            "/usr/bin/tree",
            "mine",
            "writable",
        ]
        assert (
            docker("image", "inspect", "--format", '{{index .Config.Labels "chaser.runner.version"}}', OWN)
            == VERSION
        )
    finally:
        docker("rmi", "--force", OWN)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"RUNNER_VERSION": "latest"}, "RUNNER_VERSION=latest is no version"),
        ({"RUNNER_DIGEST": "sha256:12"}, "RUNNER_DIGEST=sha256:12 is no digest"),
        ({"BASE": "127.0.0.1:9/none:1"}, "127.0.0.1:9/none:1 could not be fetched"),
    ],
)
def test_what_cannot_be_built_is_said_in_a_sentence(variables: Mapping[str, str], said: str) -> None:
    done = make(variables)
    assert done.returncode != 0
    assert said in done.stderr
