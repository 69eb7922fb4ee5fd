"""A registrar's whole conversation, recorded from the simulated GitHub and replayed with no server at all.

`uv run python -m tests.cassettes.registrar` records it anew.
"""

import asyncio
import contextlib
from pathlib import Path

import vcr  # pyright: ignore[reportMissingTypeStubs] # it has none

from chaser.clock import SystemClock
from chaser.github.client import AppClient, AppCredentials
from chaser.github.registrar import AppRegistrar
from chaser.runners.registration import Owner, Registrar, Registration, Removal
from chaser.secret import Secret
from tests.simulated import APP_ID, PERSONAL, app_keys, simulated_github

CASSETTE = Path(__file__).parent / "registrar.yaml"
PORT = 9417
HEADER = """\
# Recorded from the simulated GitHub (chaser.simulator), not from GitHub itself. Tests hold the simulator's answers
# against GitHub's own OpenAPI description. Authorization headers are left out; tokens and keys in it are random numbers.
# Recorded anew by: uv run python -m tests.cassettes.registrar
"""


def cassette(record_mode: str) -> contextlib.AbstractContextManager[object]:
    return vcr.use_cassette(  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        str(CASSETTE),
        record_mode=record_mode,
        match_on=["method", "scheme", "host", "port", "path", "query", "body"],
        filter_headers=["authorization"],
        decode_compressed_response=True,
    )


def client() -> AppClient:
    credentials = AppCredentials(str(APP_ID), Secret(app_keys().private))
    return AppClient(credentials, SystemClock(), api_url=f"http://127.0.0.1:{PORT}")


async def converse(
    registrar: Registrar,
) -> tuple[str, Registration | None, Removal, Removal, Registration | None]:
    """Mint, find, mint the same name again, remove, remove again, find."""
    owner = Owner(PERSONAL, "octocat/example", None)
    first = await registrar.mint(owner, "chaser-tape-1", ["chaser"])
    found = await registrar.find(owner, first.name)
    second = await registrar.mint(owner, first.name, ["chaser"])
    removed = await registrar.remove(owner, second.runner_id)
    again = await registrar.remove(owner, second.runner_id)
    return first.jit_config.reveal(), found, removed, again, await registrar.find(owner, first.name)


async def record() -> None:
    CASSETTE.unlink(missing_ok=True)
    async with simulated_github(PORT), client() as opened:
        with cassette("all"):
            await converse(AppRegistrar(opened))


if __name__ == "__main__":
    asyncio.run(record())
    CASSETTE.write_text(HEADER + CASSETTE.read_text())
