"""Files that the program hands over and brings back, against a service that answers as the test says."""

import base64
import io
import json
import tarfile
from pathlib import Path

import pytest

from tests.scripted_routes import JOB, Call, Json, Play, Reply, Service, chaser

UPLOADS, ARTIFACTS = "POST /v1/uploads", f"GET /v1/jobs/{JOB}/artifacts"
ENDED: Json = {
    "id": JOB,
    "status": "succeeded",
    "reason": None,
    "exit_code": 0,
    "result": {"exit_code": 0},
    "finished_at": "2030-01-01T00:00:00Z",
}


def answers(document: object, status: int = 200) -> Play:
    return lambda reply: reply.document(document, status)


def gives(body: bytes, media: str = "application/octet-stream") -> Play:
    return lambda reply: reply.whole(body, media)


def cut(reply: Reply) -> None:
    reply.cut()


def cut_in_the_middle(reply: Reply) -> None:
    reply.begin("application/octet-stream")
    reply.piece(b"half of ")
    reply.cut()


def runs(end: Json) -> Play:
    def play(reply: Reply) -> None:
        reply.begin("text/event-stream")
        for name, data in (("started", {"id": JOB}), ("result", end)):
            reply.piece(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())
        reply.end()

    return play


def service(artifacts: dict[str, list[Play]] | None = None, end: Json = ENDED) -> Service:
    listed = [{"path": path, "size_bytes": 1, "mode": 0o755} for path in artifacts or {}]
    contents = {f"{ARTIFACTS}/{path}": plays for path, plays in (artifacts or {}).items()}
    return Service(
        {
            UPLOADS: [answers({"id": "upl_one"}, 201), answers({"id": "upl_two"}, 201)],
            "POST /v1/exec": [runs(end)],
            "POST /v1/jobs": [answers({"id": JOB, "status": "queued"}, 201)],
            f"GET /v1/jobs/{JOB}": [answers(end)],
            f"GET /v1/jobs/{JOB}/logs": [gives(b"", "application/x-ndjson")],
            ARTIFACTS: [answers({"data": listed, "next_cursor": None})],
            **contents,
        }
    )


def tar(entries: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def names(call: Call) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(call.body)) as archive:
        return set(archive.getnames())


RUNS = [("exec",), ("jobs", "exec", "--wait")]


def asked(served: Service) -> Json:
    """The input of the run."""
    [call] = [call for call in served.calls if call.path in ("/v1/exec", "/v1/jobs")]
    return call.json.get("input", call.json)


@pytest.mark.parametrize("words", [*RUNS, ("jobs", "exec", "--detach")])
def test_a_folder_is_handed_over_before_the_run(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / ".gitignore").write_text("*.log\n")
    for name in ("a", "b.log"):
        (tmp_path / "src" / name).write_text("x" * 300_000)
    with service() as served:
        options = ("--in", "src", "--in", "src/a", "--in-path", "code", "--json")
        ended = chaser(served.url, tmp_path, *words, *options, "make")
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["id"] == JOB
    one, two = served.of(UPLOADS)
    assert one.headers["Content-Type"] == "application/x-tar"
    assert (names(one), names(two)) == ({".gitignore", "a"}, {"a"})
    assert asked(served)["inputs"] == [{"upload": each, "path": "code"} for each in ("upl_one", "upl_two")]


def test_an_upload_that_is_cut_off_is_sent_again(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    with service() as served:
        served.routes[UPLOADS].insert(0, cut)
        ended = chaser(served.url, tmp_path, "exec", "--in", "a", "true")
    assert ended.returncode == 0
    assert [names(call) for call in served.of(UPLOADS)] == [{"a"}, {"a"}]
    assert asked(served)["inputs"] == [{"upload": "upl_one", "path": "."}]


def test_an_upload_that_is_refused_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    with service() as served:
        served.routes[UPLOADS] = [lambda reply: reply.refuse(413, "upload_too_large")]
        ended = chaser(served.url, tmp_path, "exec", "--json", "--in", "a", "true")
    assert (ended.returncode, json.loads(ended.stdout)["error"]["code"]) == (126, "upload_too_large")
    assert len(served.calls) == 1


@pytest.mark.parametrize("words", RUNS)
@pytest.mark.parametrize("code", [0, 3])
def test_artifacts_come_back_whatever_the_result(tmp_path: Path, words: tuple[str, ...], code: int) -> None:
    status, reason = ("failed", "nonzero_exit") if code else ("succeeded", None)
    end: Json = {
        **ENDED,
        "status": status,
        "reason": reason,
        "exit_code": code,
        "result": {"exit_code": code},
    }
    files = {"dist/a b": [cut_in_the_middle, gives(b"half of it")], "c": [gives(b"c")]}
    with service(files, end) as served:
        ended = chaser(served.url, tmp_path, *words, "--out", "**", "--out-dir", "out", "--json", "make")
    assert ended.returncode == code
    assert json.loads(ended.stdout)["exit_code"] == code
    assert asked(served)["artifacts"] == ["**"]
    assert (tmp_path / "out" / "dist" / "a b").read_bytes() == b"half of it"
    assert (tmp_path / "out" / "c").stat().st_mode & 0o100
    assert sorted(each.name for each in (tmp_path / "out" / "dist").iterdir()) == ["a b"]


@pytest.mark.parametrize(
    "hostile",
    ["../out", "/etc/chaser-test", "a/../../out", ".git/config", "sub/.Git/hooks/x", "", "link/x", "nul\0"],
)
def test_a_hostile_name_is_refused_and_the_others_come(tmp_path: Path, hostile: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to("..")
    with service({hostile: [gives(b"hostile")], "good": [gives(b"good")]}) as served:
        ended = chaser(served.url, tmp_path, "exec", "--out", "**", "--out-dir", "root", "true")
    assert ended.returncode == 125
    assert b"is not written" in ended.stderr
    assert (root / "good").read_bytes() == b"good"
    assert {each.name for each in tmp_path.iterdir()} == {"root"}
    assert {each.name for each in root.iterdir()} <= {"link", "good", "sub"}


def test_a_run_that_went_well_fails_without_its_artifacts(tmp_path: Path) -> None:
    with service() as served:
        served.routes[ARTIFACTS] = [lambda reply: reply.refuse(404, "job_not_found")]
        ended = chaser(served.url, tmp_path, "jobs", "exec", "--wait", "--json", "--out", "x", "true")
    assert ended.returncode == 125
    assert json.loads(ended.stdout)["status"] == "succeeded"
    assert b"job_not_found" in ended.stderr


FILES = "/v1/workspaces/w/files"


def test_a_folder_is_pushed_into_a_workspace(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    with Service({f"PUT {FILES}/sub dir": [cut, answers({"entries": 1})]}) as served:
        words = ("workspaces", "push", "w", ".", "--path", "sub dir", "--json")
        ended = chaser(served.url, tmp_path, *words)
    assert (ended.returncode, json.loads(ended.stdout)) == (0, {"entries": 1})
    assert [names(call) for call in served.calls] == [{"a"}, {"a"}]


def test_a_workspace_is_pulled_without_what_is_hostile_in_it(tmp_path: Path) -> None:
    content = tar({"good": b"g", "sub/b": b"b", "../out": b"x", ".git/hooks/pre-commit": b"x"})
    with Service({f"GET {FILES}/": [gives(content, "application/x-tar")]}) as served:
        ended = chaser(served.url, tmp_path, "workspaces", "pull", "w", "here", "--json")
    assert ended.returncode == 125
    document = json.loads(ended.stdout)
    assert (document["entries"], document["refused"]) == (2, ["../out", ".git/hooks/pre-commit"])
    assert (tmp_path / "here" / "sub" / "b").read_bytes() == b"b"
    assert {each.name for each in tmp_path.iterdir()} == {"here"}


def test_a_pull_that_is_cut_off_fails(tmp_path: Path) -> None:
    def play(reply: Reply) -> None:
        reply.begin("application/x-tar")
        reply.piece(tar({"a": b"x" * 10_000})[:2000])
        reply.cut()

    with Service({f"GET {FILES}/": [play]}) as served:
        ended = chaser(served.url, tmp_path, "workspaces", "pull", "w", "here")
    assert ended.returncode == 125
    assert list((tmp_path / "here").iterdir()) == []


def test_a_single_file_is_pulled_or_printed(tmp_path: Path) -> None:
    with Service({f"GET {FILES}/sub/f": [gives(b"\xff\n")]}) as served:
        assert chaser(served.url, tmp_path, "workspaces", "cat", "w", "sub/f").stdout == b"\xff\n"
        document = json.loads(
            chaser(served.url, tmp_path, "workspaces", "cat", "w", "sub/f", "--json").stdout
        )
        assert base64.b64decode(document["content_base64"]) == b"\xff\n"
        chaser(served.url, tmp_path, "workspaces", "pull", "w", "here", "--path", "sub/f")
    assert (tmp_path / "here" / "f").read_bytes() == b"\xff\n"


def test_a_path_that_leads_out_is_not_even_asked_for(tmp_path: Path) -> None:
    for words in (
        ("cat", "w", "../../jobs"),
        ("pull", "w", "here", "--path", "a/.."),
        ("push", "w", ".", "--path", ".."),
    ):
        ended = chaser("http://127.0.0.1:9", tmp_path, "workspaces", *words, "--json")
        assert (ended.returncode, json.loads(ended.stdout)["error"]["code"]) == (2, "invalid_path")


def test_workspaces_are_made_listed_and_deleted(tmp_path: Path) -> None:
    routes: dict[str, list[Play]] = {
        "POST /v1/workspaces": [answers({"id": "wsp_1", "name": "w"}, 201)],
        "GET /v1/workspaces": [answers({"data": [{"id": "wsp_1", "name": "w"}], "next_cursor": None})],
        "DELETE /v1/workspaces/w": [lambda reply: reply.refuse(409, "workspace_in_use"), gives(b"")],
    }
    with Service(routes) as served:
        words = ("create", "w", "--image", "i", "--clone-from", "v", "--ttl", "2h", "--quota", "4g")
        assert chaser(served.url, tmp_path, "workspaces", *words).returncode == 0
        assert b"wsp_1" in chaser(served.url, tmp_path, "workspaces", "list").stdout
        assert chaser(served.url, tmp_path, "workspaces", "delete", "w").returncode == 125
        forced = chaser(served.url, tmp_path, "workspaces", "delete", "w", "--force", "--json")
    assert served.calls[0].json == {
        "name": "w",
        "image": "i",
        "clone_from": "v",
        "ttl_ms": 7_200_000,
        "quota": "4g",
    }
    assert served.calls[-1].query == {"force": "true"}
    assert json.loads(forced.stdout) == {"deleted": "w"}
