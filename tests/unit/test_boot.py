"""The boot script under real shells: a message runs whole or not at all."""

import shutil
import subprocess
from datetime import timedelta

import pytest

from chaser.sandboxes.boot import (
    BOOT,
    COMMAND,
    KILL_ALL,
    NOT_HANDED_OVER,
    READY,
    SCRATCH,
    SHORT,
    message,
    signal_of,
)
from chaser.sandboxes.markers import begin_mark
from chaser.sandboxes.spec import Launch, Step, Streams

NONCE = "0123456789abcdef" * 2
SHELLS = [
    pytest.param(
        words, id=words[0], marks=() if shutil.which(words[0]) else pytest.mark.skip(f"no {words[0]}")
    )
    for words in (["dash"], ["bash", "--posix"], ["busybox", "sh"])
]
BEGIN = begin_mark(NONCE, 0)


def launch(*steps: Step, streams: Streams = Streams.MERGED) -> Launch:
    return Launch(steps, timedelta(seconds=10), streams)


def run(shell: list[str], sent: bytes, scratch: str = SCRATCH) -> "subprocess.CompletedProcess[bytes]":
    """The boot script in `shell`, given `sent`. `scratch` takes the place of the sandbox's own /dev/shm."""
    boot = BOOT.replace(SCRATCH, scratch)
    sent = sent.replace(SCRATCH.encode(), scratch.encode())
    return subprocess.run(
        [*shell, "-c", boot, "chaser"], input=sent, capture_output=True, check=False, timeout=60
    )


def end_mark(code: int) -> bytes:
    return f"\x1eEND {NONCE} 0 {code} ".encode()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("size", [0, 2 * SHORT])
def test_a_whole_message_runs_between_its_marks(shell: list[str], size: int, tmp_path: object) -> None:
    step = Step(f"echo out; echo err >&2; : {'x' * size}; exit 3")

    done = run(shell, message(launch(step, streams=Streams.SPLIT), NONCE), f"{tmp_path}/scratch")

    assert done.returncode == 3
    assert done.stdout.startswith(READY + BEGIN + b"out\n" + end_mark(3))
    assert done.stderr.startswith(BEGIN + b"err\n" + end_mark(3))


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("size", [0, 2 * SHORT])
def test_a_message_that_is_cut_off_anywhere_runs_nothing(
    shell: list[str], size: int, tmp_path: object
) -> None:
    whole = message(launch(Step(f"echo ran; : {'x' * size}")), NONCE)
    places = {0, 1, 32, 33, 34, 38, 39, 40, 41, 80, len(whole) - 34, len(whole) - 3, len(whole) - 2}

    for place in sorted(places | set(range(0, len(whole) - 1, len(whole) // 20))):
        done = run(shell, whole[:place], f"{tmp_path}/scratch")
        assert (done.returncode, done.stdout) == (NOT_HANDED_OVER, READY), place


@pytest.mark.parametrize("shell", SHELLS)
def test_a_command_may_hold_the_end_line_of_another_nonce(shell: list[str]) -> None:
    step = Step("cat <<'X'\n#end ffffffffffffffffffffffffffffffff\nX")

    assert b"#end ffff" in run(shell, message(launch(step), NONCE)).stdout


@pytest.mark.parametrize("shell", [each for each in SHELLS if each.id == "bash"])
def test_a_variable_that_the_shell_keeps_for_itself_is_told(shell: list[str]) -> None:
    done = run(shell, message(launch(Step("echo never", env={"UID": "7"}), streams=Streams.SPLIT), NONCE))

    assert done.returncode == 126
    assert b"chaser: the shell of this image does not let UID be set\n" in done.stderr
    assert b"never" not in done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_what_the_image_has_exported_under_the_scripts_own_names_stays_out(shell: list[str]) -> None:
    done = subprocess.run(
        [*shell, "-c", BOOT, "chaser"],
        input=message(launch(Step("env")), NONCE),
        env={"PATH": "/usr/bin:/bin", "_c_n": "theirs", "_c_l": "theirs"},
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert b"_c_" not in done.stdout


def test_nothing_of_a_launch_is_in_the_command_line() -> None:
    assert COMMAND == ("/bin/sh", "-c", BOOT, "chaser")


def test_short_messages_are_read_by_builtins_and_long_ones_from_memory() -> None:
    short, long = (message(launch(Step("x" * size)), NONCE) for size in (1, SHORT))

    assert short.startswith(f"{NONCE} lines\n".encode())
    assert long.startswith(f"{NONCE} file\n".encode())
    assert all(each.endswith(f"\n#end {NONCE}\n".encode()) for each in (short, long))


@pytest.mark.parametrize("name", ["a-b", "1A", "", "A=B", "A B", "A\n", "Ä", "$(id)"])
def test_a_name_that_no_shell_takes_is_not_sent(name: str) -> None:
    with pytest.raises(ValueError, match="environment variable"):
        message(launch(Step("true", env={name: "x"})), NONCE)


def test_a_launch_of_one_step_pays_nothing_for_what_several_need() -> None:
    """No trap, no sweep, no job in the background, no program that the shell has to start."""
    text = message(launch(Step("true", may_fail=True)), NONCE).decode()

    assert not {"trap", "_c_sweep", "_c_wait", "&", "rm", "sleep"} & set(text.split())


def test_of_several_steps_only_one_that_may_be_ended_alone_is_in_the_background() -> None:
    seconds = timedelta(seconds=1)
    steps = (Step("a"), Step("b", timeout=seconds), Step("c", timeout=seconds, may_fail=True), Step("d"))
    text = message(launch(*steps), NONCE).decode()

    assert text.count(") &\n") == 1
    assert text.count("_c_sweep") == 3
    assert signal_of(2) in text


def test_neighbours_are_not_ended_by_the_same_signal() -> None:
    assert all(signal_of(step) != signal_of(step + 1) for step in range(5))


@pytest.mark.parametrize("shell", SHELLS)
def test_outside_of_a_sandbox_the_script_ends_nobody(shell: list[str]) -> None:
    """Its parent is this test, and not a sandbox's init: `kill` is put off by that before it is reached."""
    assert KILL_ALL.startswith('[ "$PPID" = 1 ] && ')

    done = subprocess.run(
        [*shell, "-c", f'kill() {{ echo killed; }}; {KILL_ALL}; echo "$?"'],
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert done.stdout == b"1\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_input_for_which_there_is_no_room_is_told_before_anything_runs(shell: list[str]) -> None:
    steps = (Step("echo ran"), Step("cat", stdin="data"))

    done = run(shell, message(launch(*steps), NONCE), "/nonexistent/scratch")

    assert (done.returncode, done.stdout) == (NOT_HANDED_OVER, READY)
