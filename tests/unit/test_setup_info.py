"""The runner's `.setup_info`: what it says, how long it may be, and that nothing in it does anything."""

import json
import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaser.runners.setup_info import LINE, PATH, SetupInfo, writing

INFO = SetupInfo(
    profile="large",
    waited=timedelta(seconds=83),
    reason="all 6 places of the profile were taken",
    image="chaser-runner:latest",
    digest="sha256:" + "0123456789abcdef" * 4,
    url="https://ci.example.com/v1/jobs/job_01",
)
SHELLS = [
    pytest.param(
        words, id=words[0], marks=() if shutil.which(words[0]) else pytest.mark.skip(f"no {words[0]}")
    )
    for words in (["dash"], ["bash", "--posix"], ["busybox", "sh"])
]


def details(info: SetupInfo) -> dict[str, list[str]]:
    """The groups as the runner prints them."""
    return {group["group"]: group["detail"].split("\n") for group in json.loads(info.render())}


def test_it_names_profile_wait_job_and_image() -> None:
    assert details(INFO) == {
        "Chaser": [
            "Profile: large",
            "Waited: 1 min 23 s (all 6 places of the profile were taken)",
            "Job: https://ci.example.com/v1/jobs/job_01",
        ],
        "Chaser sandbox image": ["Image: chaser-runner:latest", f"Digest: {INFO.digest}"],
    }


def test_what_is_not_known_is_left_out() -> None:
    info = replace(INFO, reason=None, url=None)
    assert details(info)["Chaser"] == ["Profile: large", "Waited: 1 min 23 s"]


@pytest.mark.parametrize(
    ("waited", "said"),
    [
        (timedelta(seconds=-3), "0.0 s"),
        (timedelta(milliseconds=420), "0.4 s"),
        (timedelta(seconds=42), "42 s"),
        (timedelta(seconds=60), "1 min 0 s"),
        (timedelta(seconds=3599.9), "1 h 0 min"),
        (timedelta(hours=26, minutes=5, seconds=59), "26 h 5 min"),
    ],
)
def test_a_wait_is_said_as_people_say_it(waited: timedelta, said: str) -> None:
    assert details(replace(INFO, waited=waited, reason=None))["Chaser"][1] == f"Waited: {said}"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("two\nlines\r\nmore", "two lines more"),
        ("\x1b[31mred\x07", "�[31mred�"),
        ("##[endgroup]##[error]no", "## [endgroup]## [error]no"),
        ("##\n[error]", "## [error]"),
        ("right\u202eleft", "right�left"),
        ("lone \ud800 half", "lone � half"),
        ("ends early\x00", "ends early�"),
        ("grün 木 🐳", "grün 木 🐳"),
    ],
)
def test_odd_characters_do_nothing(written: str, shown: str) -> None:
    info = replace(INFO, waited=timedelta(seconds=42), reason=written)
    assert details(info)["Chaser"][1] == f"Waited: 42 s ({shown})"


ANY_TEXT = st.text(st.characters(exclude_categories=()))


@given(profile=ANY_TEXT, reason=ANY_TEXT, image=ANY_TEXT, digest=ANY_TEXT, url=ANY_TEXT)
def test_whatever_is_in_it_the_lines_are_the_same_few_and_none_is_a_command(
    profile: str, reason: str, image: str, digest: str, url: str
) -> None:
    info = SetupInfo(profile, timedelta(seconds=42), reason, image, digest, url)
    assert info.render().isascii()
    lines = [line for group in details(info).values() for line in group]
    names = [line.partition(":")[0] for line in lines]
    assert names == ["Profile", "Waited", "Job", "Image", "Digest"]
    assert not any("##[" in line for line in lines)
    assert all(line.isprintable() for line in lines)


def test_it_is_bounded() -> None:
    long = "🐳" * 100_000
    info = SetupInfo(long, timedelta(), long, long, long, long)
    lines = [line for group in details(info).values() for line in group]
    assert {len(line) for line in lines} == {LINE}
    assert all(line.endswith("…") for line in lines)
    assert len(writing(info)) < 32_000


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_writes_it_and_goes_on(shell: list[str], tmp_path: Path) -> None:
    path = tmp_path / "it's $(here)"
    odd = replace(INFO, reason="it's `id` $(id) \\n %s\\c", profile="'; exit 3; '")
    command = writing(odd, str(path)) + "exec echo begun"
    done = subprocess.run([*shell, "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "begun\n", "")
    assert path.read_text() == odd.render() + "\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_where_it_cannot_be_written_the_runner_starts_all_the_same(shell: list[str], tmp_path: Path) -> None:
    command = "set -e\n" + writing(INFO, f"{tmp_path}/none/file") + "exec echo begun"
    done = subprocess.run([*shell, "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "begun\n", "")


def test_it_goes_where_the_runner_looks() -> None:
    assert writing(INFO).endswith(f" >{PATH}; }} 2>/dev/null || :\n")
