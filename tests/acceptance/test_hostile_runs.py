"""Commands that mean no good, or go wrong in the worst way: each ends with a reason, and nothing of it is left."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.acceptance.machine import processes_with
from tests.acceptance.service import Json, Service, marker

pytestmark = pytest.mark.docker

KILLED = 137


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return {"CHASER_LIMITS__OUTPUT_KILL_BYTES": str(2_000_000)}


def ended(answer: Json) -> tuple[str, str | None, int | None]:
    return answer["status"], answer["reason"], answer["exit_code"]


STUBBORN = {
    "ignores SIGTERM": "trap '' TERM INT HUP; while :; do sleep 1; done; : {}",
    "ignores SIGTERM as a program of its own": "trap '' TERM; exec sh -c 'while :; do sleep 1; done; : {}'",
    "leaves a daemon": "(setsid sh -c 'while :; do sleep 1; done; : {}' &) ; while :; do sleep 1; done",
    "stopped itself": "sh -c 'kill -STOP $$; : {}'",
    "spins": "while :; do :; done; : {}",
}


@pytest.mark.parametrize("what", STUBBORN)
def test_a_timeout_ends_a_command_that_does_not_want_to_end(service: Service, what: str) -> None:
    word = marker()
    answer = service.run("echo before; " + STUBBORN[what].format(word), timeout_ms=700)
    assert processes_with(word) == []
    assert ended(answer) == ("failed", "run_timeout", None)
    assert answer["output"] == "before\n"
    assert "0.7 s" in answer["message"]


def test_a_timeout_ends_a_command_in_the_midst_of_a_flood(service: Service) -> None:
    """Of short lines, of which the engine's log takes its time to give back what it has."""
    answer = service.run("while echo y; do :; done", timeout_ms=1000)
    assert ended(answer) == ("failed", "run_timeout", None)
    assert service.output(answer["id"]).rstrip(b"\n").split(b"\n").count(b"y") >= answer["output_bytes"] // 2


def test_a_cancel_ends_a_command_that_does_not_want_to_end(service: Service) -> None:
    word = marker()
    job = service.begin(f"trap '' TERM; while :; do sleep 1; done; : {word}")
    assert processes_with(word)
    cancelled = service.cancel(job)
    assert processes_with(word) == []
    assert (cancelled["status"], cancelled["reason"]) == ("cancelled", "cancelled_by_user")


def test_background_processes_end_with_the_command(service: Service) -> None:
    """Plain ones, detached ones, and those that have left their session; at the answer they are gone."""
    word = marker()
    sleeper = f"sh -c 'trap \"\" TERM HUP; sleep 1000; : {word}'"
    command = f"{sleeper} & ({sleeper} &); setsid {sleeper} & nohup {sleeper} >/dev/null 2>&1 & echo started"
    answer = service.run(command)
    assert processes_with(word) == []
    assert ended(answer) == ("succeeded", None, 0)
    assert answer["output"] == "started\n"


def test_a_fork_bomb_ends_at_its_limit_and_the_machine_stays_well(service: Service) -> None:
    word = marker()
    bomb = f"b() {{ b | b & }}; b; while :; do (sleep 1000; : {word}) & done"
    with ThreadPoolExecutor(1) as apart:
        bombed = apart.submit(service.run, bomb, limits={"pids": 64}, timeout_ms=3000)
        beside = service.run("echo well")
    assert processes_with(word) == []
    answer = bombed.result()
    assert answer["status"] == "failed"
    assert answer["reason"] in {"nonzero_exit", "run_timeout"}, answer
    assert "can't fork" in answer["output"]
    assert (ended(beside), beside["output"]) == (("succeeded", None, 0), "well\n")


def test_forks_until_the_time_is_over_are_all_gone(service: Service) -> None:
    """A command that goes on after every refused fork."""
    word = marker()
    command = f"while :; do sh -c '(sh -c \"sleep 1000; : {word}\" &) 2>/dev/null'; done 2>/dev/null"
    answer = service.run(f"trap '' TERM; while :; do ({command}); done", limits={"pids": 64}, timeout_ms=1500)
    assert processes_with(word) == []
    assert ended(answer) == ("failed", "run_timeout", None)


def test_a_command_that_fills_its_memory_is_out_of_memory(service: Service) -> None:
    answer = service.run("echo before; exec tail /dev/zero", limits={"memory": "32m"})
    assert ended(answer) == ("failed", "out_of_memory", KILLED)
    assert "limits.memory" in answer["message"]
    assert answer["output"] == "before\n"


def test_a_child_that_fills_its_memory_is_the_commands_own_affair_if_it_copes(service: Service) -> None:
    """The engine calls the whole container "OOM killed"; the command ended with 0, and that counts."""
    answer = service.run("tail /dev/zero; echo coped with $?", limits={"memory": "32m"})
    assert ended(answer) == ("succeeded", None, 0)
    assert answer["output"].endswith(f"coped with {KILLED}\n")


def test_a_command_that_fails_for_its_childs_memory_is_out_of_memory(service: Service) -> None:
    answer = service.run("tail /dev/zero || exit 3", limits={"memory": "32m"})
    assert ended(answer) == ("failed", "out_of_memory", 3)


def test_shared_memory_counts_as_memory(service: Service) -> None:
    command = "exec dd if=/dev/zero of=/dev/shm/fill bs=1M count=200"
    answer = service.run(command, limits={"memory": "32m"})
    assert ended(answer) == ("failed", "out_of_memory", KILLED)


def test_a_command_that_fills_its_tmpfs_is_told_by_the_file_system(service: Service) -> None:
    command = "dd if=/dev/zero of=/tmp/fill bs=1M count=400 && echo unlimited"
    answer = service.run(command, isolation="strict", limits={"memory": "400m"})
    assert ended(answer) == ("failed", "nonzero_exit", 1)
    assert "No space left on device" in answer["output"]
    assert "unlimited" not in answer["output"]


def test_a_command_that_fills_its_disk_is_ended(service: Service) -> None:
    command = "dd if=/dev/zero of=/workspace/fill bs=1M count=40 2>/dev/null; echo filled; sleep 60"
    answer = service.run(command, limits={"disk": "10m"})
    assert ended(answer) == ("failed", "disk_full", None)
    assert "limits.disk" in answer["message"]
    assert answer["output"] == "filled\n"


def test_a_command_that_prints_without_end_is_ended_at_the_limit(service: Service) -> None:
    answer = service.run("yes")
    assert ended(answer) == ("failed", "output_limit", None)
    assert answer["output_bytes"] > 2_000_000
    assert answer["output_truncated"]
    assert answer["output"].startswith("y\ny\n")


def test_a_command_that_closes_its_output_and_goes_on_is_waited_for(service: Service) -> None:
    answer = service.run("echo before; exec >&- 2>&- <&-; sleep 0.4; exit 7")
    assert ended(answer) == ("failed", "nonzero_exit", 7)
    assert answer["output"] == "before\n"
    assert answer["timings"]["run_ms"] >= 400


def test_a_command_that_closes_all_it_has_inherited_ends_as_any_other(service: Service) -> None:
    """Every descriptor up to 20, whatever the boot script keeps open."""
    closing = " ".join(f"{descriptor}>&-" for descriptor in range(20))
    answer = service.run(f"echo before; exec {closing}; exit 5")
    assert (ended(answer), answer["output"]) == (("failed", "nonzero_exit", 5), "before\n")


def test_commands_that_end_within_a_millisecond_are_none_of_them_lost(service: Service) -> None:
    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(service.run, [f"echo {n}; exit {n}" for n in range(30)]))
    assert [(answer["output"], answer["exit_code"]) for answer in answers] == [
        (f"{n}\n", n) for n in range(30)
    ]


@pytest.mark.parametrize(
    "command", ["kill -9 -1", "kill -9 $PPID", "kill -9 $(cut -d' ' -f4 /proc/$PPID/stat)"]
)
def test_a_command_that_kills_its_own_surroundings_ends_with_a_reason(service: Service, command: str) -> None:
    answer = service.run(f"echo before; {command}; sleep 0.5; echo after")
    assert answer["status"] in {"failed", "succeeded"}
    assert answer["reason"] in {"host_lost", "nonzero_exit", None}, answer
    assert answer["output"].startswith("before\n")
    assert (answer["reason"] is None) == (answer["exit_code"] == 0)


def test_marks_that_the_command_forges_are_output(service: Service) -> None:
    """What ends a run is a mark with a number that no command can know."""
    forged = "\x1eBEGIN 0\x1e\n\x1eEND 0 0 0\x1e\nREADY\n#end 0\n"
    answer = service.run(
        "printf '\\036BEGIN 0\\036\\n\\036END 0 0 0\\036\\nREADY\\n#end 0\\n' | tee /dev/stderr; exit 4"
    )
    assert (ended(answer), answer["output"]) == (("failed", "nonzero_exit", 4), forged * 2)


def test_a_command_finds_neither_the_mark_nor_the_message_it_came_by(service: Service) -> None:
    """Neither in its environment, nor in any argument list, nor in a file: so it cannot forge its end."""
    command = (
        "set | grep _c_; cat /proc/*/environ | tr '\\0' '\\n' | grep _c_;"
        " ls -A /dev/shm; head -c 0 /dev/null; echo looked #" + "x" * 5000
    )
    answer = service.run(command)
    assert (ended(answer), answer["output"]) == (("succeeded", None, 0), "looked\n")


def test_many_open_files_end_at_the_limit(service: Service) -> None:
    answer = service.run("ulimit -n; ulimit -c")
    open_files, core = answer["output"].split()
    assert int(open_files) <= 65536
    assert core == "0"
