"""What must hold when all is done: every job ended once, ran once, and left exactly what it should."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from tests.acceptance.machine import SMALL
from tests.acceptance.service import Service
from tests.acceptance.waiting import until
from tests.chaos.tasks import LINES, Task

ENDS = frozenset({"succeeded", "failed", "cancelled"})


def expect_all_done_once(service: Service, accepted: Mapping[str, Task]) -> None:
    for job, task in accepted.items():
        _expect_one_end(service, job, task)
        _expect_output(service, job, task)
        _expect_artifacts(service, job, task)
    _expect_frames_without_holes(service)
    _expect_lines(service, accepted)
    assert "Traceback" not in service.log, service.log[service.log.index("Traceback") :][:4000]
    assert '"level": "error"' not in service.log


def expect_no_leftovers(service: Service) -> None:
    """No container, and no volume but the workspaces' own."""
    service.expect_nothing_left()
    kept = {_volume(workspace) for workspace in workspaces(service).values()}
    until(lambda: set(service.docker.volumes(service.instance)) <= kept, f"only {sorted(kept)} to be left")
    assert set(service.docker.volumes(service.instance)) == kept


def workspaces(service: Service) -> Mapping[str, str]:
    """The ids by the names."""
    return dict(service.rows("SELECT name, id FROM workspaces"))


def lines(service: Service, of: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """The lines of these workspaces' files, read from their volumes, all at once."""
    known = workspaces(service)
    mounts = [f"--volume={_volume(known[name])}:/all/{name}:ro" for name in of]
    show = f"cd /all; for name in *; do while read -r line; do echo $name $line; done < $name/{LINES}; done"
    found: dict[str, list[str]] = defaultdict(list)
    for row in service.docker("run", "--rm", *mounts, SMALL, "sh", "-c", show).splitlines():
        name, _, line = row.partition(" ")
        found[name].append(line)
    return found


def _volume(workspace: str) -> str:
    return f"chaser-{workspace.removeprefix('wsp_')}"


def _expect_one_end(service: Service, job: str, task: Task) -> None:
    row = service.job(job)
    assert row["status"] == "succeeded", f"{task.key} ({job}): {row}"
    history = [event["to_status"] for event in service.events(job)]
    assert history[-1] == "succeeded"
    assert sum(status in ENDS for status in history) == 1, f"{task.key}: {history}"
    assert history.count("running") <= len(task.lines or "1"), f"{task.key} ran again: {history}"


def _expect_output(service: Service, job: str, task: Task) -> None:
    whole = service.output(job)
    assert len(whole) == sum(map(len, task.output.values())), f"{task.key} ({job}): more streams than one"
    for stream, wanted in task.output.items():
        answer = service.http.get(f"/v1/jobs/{job}/logs", params={"stream": stream})
        _expect_bytes(f"{task.key} ({job}), {stream}", answer.content, wanted)


def _expect_frames_without_holes(service: Service) -> None:
    numbers: dict[str, list[int]] = defaultdict(list)
    for job, number in service.rows("SELECT job_id, seq FROM log_frames ORDER BY job_id, seq"):
        numbers[job].append(number)
    for job, found in numbers.items():
        assert found == list(range(1, len(found) + 1)), job


def _expect_bytes(what: str, found: bytes, wanted: bytes) -> None:
    if found == wanted:
        return
    same = next(
        (at for at, (one, other) in enumerate(zip(found, wanted, strict=False)) if one != other),
        min(len(found), len(wanted)),
    )
    raise AssertionError(
        f"{what}: {len(found)} bytes, {len(wanted)} wanted; from byte {same}: "
        f"{found[same - 40 : same + 80]!r}, wanted {wanted[same - 40 : same + 80]!r}"
    )


def _expect_artifacts(service: Service, job: str, task: Task) -> None:
    for path, wanted in task.artifacts.items():
        answer = service.http.get(f"/v1/jobs/{job}/artifacts/{path}")
        assert answer.status_code == 200, f"{task.key}, {path}: {answer.text}"
        _expect_bytes(f"{task.key}, {path}", answer.content, wanted)


def _expect_lines(service: Service, accepted: Mapping[str, Task]) -> None:
    """Each line once; and in a workspace that jobs share, in the order in which they were accepted."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for task in accepted.values():
        if task.workspace is not None:
            wanted[task.workspace] += task.lines
    found = lines(service, list(wanted))
    for workspace, expected in wanted.items():
        twice = [line for line, count in Counter(found.get(workspace, ())).items() if count > 1]
        assert not twice, f"{workspace}: {twice} ran twice"
        assert list(found.get(workspace, ())) == expected, workspace
