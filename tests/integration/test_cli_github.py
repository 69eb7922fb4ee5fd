"""`chaser github`, on the local store, with a GitHub of set answers."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from chaser.clock import SystemClock
from chaser.config import Settings
from chaser.connecting import new_link, turn_secret
from chaser.errors import Refused
from chaser.runners.app import App
from chaser.runners.passes import Purpose, digest
from chaser.secret import Secret
from chaser.store.key_file import keys_from_file
from chaser.store.store import Store, open_store
from tests.scripted_github import ScriptedGitHub, scripted_github
from tests.simulated import app_keys

NO_TIME = timedelta(0)


@pytest.fixture
async def github() -> AsyncGenerator[ScriptedGitHub]:
    async with scripted_github() as github:
        yield github


@pytest.fixture
def settings(tmp_path: Path, github: ScriptedGitHub) -> Settings:
    environ = {
        "CHASER_DATA_DIR": str(tmp_path),
        "CHASER_GITHUB__API_URL": github.url,
        "CHASER_PUBLIC_URL": "https://ci.example",
        "CHASER_DOCKER_HOST": "unix:///nowhere/docker.sock",
    }
    return Settings.load(environ, None)


@pytest.fixture
async def local(settings: Settings) -> AsyncGenerator[Store]:
    keys = keys_from_file(settings.secret_key_file)
    store = open_store(settings.database.reveal(), keys, SystemClock())
    yield store
    await store.close()


def app() -> App:
    return App(
        app_id="1234",
        slug="chaser-ci",
        owner="octo-org",
        page="https://github.com/apps/chaser-ci",
        private_key=Secret(app_keys().private),
        webhook_secrets=(Secret("the present one"), Secret("an old one")),
        created_at=SystemClock().now(),
    )


async def test_the_link_opens_the_page_of_this_service(settings: Settings, local: Store) -> None:
    link = urlsplit(await new_link(settings, local))
    assert (link.netloc, link.path) == ("ci.example", "/github/setup")
    (word,) = parse_qs(link.query)["link"]
    assert await local.passes.take(digest(word), Purpose.LINK, SystemClock().now())


async def test_a_new_secret_is_known_here_before_it_is_at_github(
    settings: Settings, local: Store, github: ScriptedGitHub
) -> None:
    await local.apps.keep(app())
    github.tell("PATCH /app/hook/config", {"message": "oops"}, 502)
    with pytest.raises(Exception, match="502"):
        await turn_secret(settings, local, NO_TIME)
    kept = await local.apps.get()
    assert kept is not None
    assert kept.webhook_secrets[1:] == app().webhook_secrets
    github.answers["PATCH /app/hook/config"] = []
    github.tell("PATCH /app/hook/config", {"url": "x", "content_type": "json"})
    turned = await turn_secret(settings, local, NO_TIME)
    sent = json.loads(github.calls[-1].body)
    assert turned.webhook_secrets == (Secret(sent["secret"]), kept.webhook_secrets[0])
    assert len(sent["secret"]) == 64
    assert await local.apps.get() == turned


async def test_without_an_app_there_is_no_secret_to_change(settings: Settings, local: Store) -> None:
    with pytest.raises(Refused, match="chaser github setup"):
        await turn_secret(settings, local, NO_TIME)


async def test_what_a_script_reads_is_one_document(
    tmp_path: Path, settings: Settings, local: Store, github: ScriptedGitHub
) -> None:
    await local.apps.keep(app())
    github.tell("GET /app", {"message": "Integration not found"}, 401)
    status = await asyncio.to_thread(chaser, tmp_path, "status", "--json", api=github.url)
    assert status.returncode == 1
    assert [each["check"] for each in json.loads(status.stdout)["checks"]] == ["app", "docker"]
    assert app().private_key.reveal() not in status.stdout + status.stderr


def chaser(
    folder: Path, *args: str, api: str = "https://api.github.com"
) -> "subprocess.CompletedProcess[str]":
    """The program as a process, with settings of its own."""
    environ = {"CHASER_DATA_DIR": str(folder), "CHASER_DOCKER_HOST": "unix:///nowhere/docker.sock"}
    environ["CHASER_GITHUB__API_URL"] = api
    return subprocess.run(
        [sys.executable, "-m", "chaser", "github", *args],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PATH": os.environ["PATH"]},
    )


def test_status_and_setup_as_a_person_and_a_script_see_them(tmp_path: Path) -> None:
    status = chaser(tmp_path, "status", "--json")
    assert status.returncode == 1
    found = json.loads(status.stdout)
    assert found["ok"] is False
    assert [each["check"] for each in found["checks"]] == ["app", "docker"]
    assert "chaser github setup" in found["checks"][0]["mend"]
    assert (found["budget"], "only the running service knows" in status.stderr) == (None, True)

    setup = chaser(tmp_path, "setup")
    assert setup.returncode == 0
    assert setup.stdout.startswith("http://127.0.0.1:8080/github/setup?link=")
    assert len(setup.stdout.splitlines()) == 1
    assert "CHASER_PUBLIC_URL" in setup.stderr
    assert json.loads(chaser(tmp_path, "setup", "--json").stdout)["expires_in"] == 3600

    rotated = chaser(tmp_path, "rotate-secret", "--json")
    assert rotated.returncode == 1
    assert json.loads(rotated.stdout)["error"]["code"] == "no_app_credentials"
