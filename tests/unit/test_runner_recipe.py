"""The recipe of the runner image, and the one in the documentation for an image on top of it, as texts."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from chaser.runners.versions import LABEL

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "images/runner/Dockerfile"
BUILD = ROOT / "images/runner/build"
PAGE = ROOT / "docs/images.md"

Instruction = tuple[str, str]


def instructions(text: str) -> Sequence[Instruction]:
    """Each instruction with its arguments, in the file's order."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(words[0], words[1]) for words in found]


def example() -> str:
    (block,) = re.findall(r"```dockerfile\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return block


def arguments() -> Mapping[str, str]:
    """Those with a default."""
    pairs = [said.partition("=") for word, said in instructions(RECIPE.read_text()) if word == "ARG"]
    return {name: value for name, _, value in pairs if value}


def last(word: str) -> str:
    return [said for found, said in instructions(RECIPE.read_text()) if found == word][-1]


def test_the_documented_way_to_extend_it_takes_three_lines() -> None:
    assert example().count("\n") == 3
    words = [word for word, _ in instructions(example())]
    assert words == ["FROM", "RUN", "COPY"]


def test_it_extends_the_image_that_is_built_here_and_keeps_its_user() -> None:
    (_, base), (_, packages), (_, files) = instructions(example())
    assert f"IMAGE:-{base}" in BUILD.read_text()
    assert last("USER") == "runner"
    assert all(command.strip().startswith("sudo ") for command in packages.split("&&"))
    assert "--chown=runner" in files


def test_the_base_is_pinned_by_version_and_digest() -> None:
    default = arguments()
    assert re.fullmatch(r"\d+\.\d+\.\d+", default["RUNNER_VERSION"])
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", default["RUNNER_DIGEST"])
    assert default["BASE"] == "ghcr.io/actions/actions-runner:${RUNNER_VERSION}@${RUNNER_DIGEST}"
    assert [said for word, said in instructions(RECIPE.read_text()) if word == "FROM"] == [
        "${NODE_IMAGE} AS node",
        "${BASE}",
    ]


def test_the_documentation_names_the_release_that_is_pinned() -> None:
    default = arguments()
    assert (
        f"RUNNER_VERSION={default['RUNNER_VERSION']} RUNNER_DIGEST={default['RUNNER_DIGEST']}"
        in PAGE.read_text()
    )


def test_the_label_with_the_version_is_the_one_that_is_read() -> None:
    assert f'{LABEL}="${{RUNNER_VERSION}}"' in last("LABEL")


def test_it_says_how_to_start_the_runner_nowhere() -> None:
    """Chaser gives the command; an entrypoint would stand in its way."""
    words = {word for word, _ in instructions(RECIPE.read_text())}
    assert not words & {"ENTRYPOINT", "CMD", "VOLUME"}


def test_nothing_in_it_is_for_one_architecture() -> None:
    text = "\n".join(said for _, said in instructions(RECIPE.read_text()))
    assert not re.search(r"amd64|x86_64|x64|arm64|aarch64", text)
