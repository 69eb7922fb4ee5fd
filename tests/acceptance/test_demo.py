"""`chaser demo`: all of it at once, and nothing left of it afterwards."""

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.images import docker
from tests.running_service import PATIENCE, environment

pytestmark = pytest.mark.docker


def demo(folder: Path) -> subprocess.Popen[str]:
    (folder / "tmp").mkdir()
    environ = {**environment(folder), "TMPDIR": str(folder / "tmp")}
    command = [sys.executable, "-m", "chaser", "demo", "--json"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environ, cwd=folder, stdout=pipe, stderr=pipe, text=True)


def nothing_is_left(folder: Path, said: str) -> bool:
    """No file, and nobody at the service's port."""
    found = re.search(r"http://127\.0\.0\.1:(\d+)", said)
    assert found is not None, said
    with socket.socket() as probe:
        refused = probe.connect_ex(("127.0.0.1", int(found[1]))) != 0
    return refused and list((folder / "tmp").iterdir()) == []


WAY = ["stored", "prepared", "minted", "online", "running", "done"]
"""After its delivery."""


def test_the_demo_comes_out_as_it_should_and_leaves_nothing(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        out, err = process.communicate(timeout=3 * PATIENCE)
    assert process.returncode == 0, err
    acts = json.loads(out)["acts"]
    assert [act["as_expected"] for act in acts] == [True] * 6
    assert "Listening for Jobs" in acts[0]["output"]
    (told,) = re.findall(r"^\(delivered, (.*)\)$", acts[0]["output"], re.MULTILINE)
    moments = [moment.partition(" +")[0] for moment in told.split(", ")]
    assert set(WAY) <= set(moments)
    assert [moment for moment in moments if moment in WAY] == WAY
    story = acts[0]["document"]["github"]
    assert (story["state"], story["conclusion"]) == ("done", "success")
    assert story["timeline"]["gone"] is not None
    assert story["runner_name"] in acts[0]["output"], "GitHub knows whose log this is"
    assert [acts[at]["output"] for at in (4, 5)] == ["nothing is here yet\n", "the first run was here\n"]
    assert nothing_is_left(tmp_path, err)
    for act in acts:
        sandbox = act["document"]["session_id"]
        assert docker("ps", "--all", "--quiet", "--filter", f"label=chaser.sandbox={sandbox}") == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    with demo(tmp_path) as process:
        assert process.stderr is not None
        said = ""
        while "are up" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        process.send_signal(number)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number
    assert nothing_is_left(tmp_path, said)
