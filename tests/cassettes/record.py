"""Record the conversations anew: `python -m tests.cassettes.record`, from the simulated GitHub or from GitHub itself.

From GitHub where CHASER_RECORD_APP_ID is set; docs/simulator.md says what else must be.
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from chaser.github.client import AppClient
from chaser.runners.registration import Owner
from chaser.secret import Secret
from tests.cassettes.conversations import CONVERSATIONS, Conversation
from tests.cassettes.tape import API, FOLDER, Tape
from tests.simulated import app_client, simulated_github

HEADER = """\
# Recorded from {source}.
# Credentials, tokens and keys are left out, names are replaced. Recorded anew by: uv run python -m tests.cassettes.record
"""
SIMULATED = (
    "the simulated GitHub (chaser.simulator), not from GitHub itself: "
    "tests hold its answers against GitHub's own description"
)


async def record_simulated() -> None:
    for name, conversation in CONVERSATIONS.items():
        async with simulated_github() as side, side.client() as client:
            if conversation.before is not None:
                conversation.before(side.world)
            await _record(name, conversation, client, conversation.owner, Tape({side.url: API}), SIMULATED)


async def record_real(environ: Mapping[str, str], key: Secret, folder: Path = FOLDER) -> None:
    """Only what GitHub does without being made to. It registers runners and removes them again."""
    url = environ.get("CHASER_RECORD_API_URL", API)
    app_id = environ["CHASER_RECORD_APP_ID"]
    for name, conversation in CONVERSATIONS.items():
        level = "USER" if conversation.owner.organization is None else "ORGANIZATION"
        if conversation.before is None and f"CHASER_RECORD_{level}_INSTALLATION" in environ:
            owner = _owner(environ, level)
            tape = Tape({url: API, **_names(owner, conversation.owner)}, folder)
            async with app_client(url, key, app_id=app_id) as client:
                await _record(name, conversation, client, owner, tape, url)


def _owner(environ: Mapping[str, str], level: str) -> Owner:
    installation = int(environ[f"CHASER_RECORD_{level}_INSTALLATION"])
    repository = environ[f"CHASER_RECORD_{level}_REPOSITORY"]
    return Owner(installation, repository, repository.partition("/")[0] if level == "ORGANIZATION" else None)


def _names(said: Owner, written: Owner) -> dict[str, str]:
    """The repository first, since the account's name is part of it."""
    return {
        f"/installations/{said.installation_id}/": f"/installations/{written.installation_id}/",
        said.repository: written.repository,
        said.repository.partition("/")[0]: written.repository.partition("/")[0],
    }


async def _record(
    name: str, conversation: Conversation, client: AppClient, owner: Owner, tape: Tape, source: str
) -> None:
    tape.path(name).unlink(missing_ok=True)
    with tape.cassette(name, "all"):
        await conversation.lead(client, owner)
    tape.path(name).write_text(HEADER.format(source=source) + tape.path(name).read_text())


def main() -> None:
    if "CHASER_RECORD_APP_ID" in os.environ:
        key = Secret(Path(os.environ["CHASER_RECORD_PRIVATE_KEY_FILE"]).read_text())
        asyncio.run(record_real(os.environ, key))
    else:
        asyncio.run(record_simulated())


if __name__ == "__main__":
    main()
