"""The client's contract with GitHub: recorded conversations, replayed with no server at all.

What the client sends must be what was recorded, byte for byte, and what it makes of the answers must be this.
"""

import base64
import re
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from chaser.errors import Refused, Unavailable
from chaser.github.client import AppClient
from chaser.runners.registration import Removal
from chaser.secret import Secret
from chaser.simulator.world import Installation
from tests.cassettes.conversations import CONVERSATIONS, SERVED
from tests.cassettes.record import record_real
from tests.cassettes.tape import API, FOLDER, TOKEN, Tape
from tests.simulated import APP_ID, app_client, app_keys, simulated_github


@pytest.fixture
async def client() -> AsyncGenerator[AppClient]:
    async with app_client(API) as opened:
        yield opened


def exactly(expected: object) -> Callable[[object], bool]:
    return lambda came: came == expected


def failed(kind: type[Exception], words: str) -> Callable[[object], bool]:
    return lambda came: isinstance(came, kind) and words in str(came)


EXPECTED = {
    "repository": exactly(SERVED),
    "organization": exactly(SERVED),
    "no-labels": failed(Refused, "422"),
    "not-installed": failed(Refused, "not installed"),
    "busy": exactly(Removal.BUSY),
    "suspended": failed(Unavailable, "suspended"),
    "rate-limit": failed(Unavailable, "60 s"),
    "outage": failed(Unavailable, "502"),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
async def test_the_client_still_leads_the_recorded_conversation(name: str, client: AppClient) -> None:
    conversation = CONVERSATIONS[name]
    with Tape().cassette(name, "none"):
        came = await conversation.lead(client, conversation.owner)
    assert EXPECTED[name](came), came


def test_there_is_a_cassette_for_each_conversation_and_no_other() -> None:
    assert {one.stem for one in FOLDER.glob("*.yaml")} == set(CONVERSATIONS)


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_no_cassette_holds_a_secret(name: str) -> None:
    nothing_secret(Tape().path(name).read_text())


def nothing_secret(text: str) -> None:
    assert text.startswith("# Recorded from ")
    assert not re.search(r"(?i)authorization|PRIVATE KEY|webhook_secret|client_secret", text)
    assert set(re.findall(r"gh[a-z]_[\w.-]+", text)) <= {TOKEN}
    assert not re.search(r"eyJ[\w-]{10,}\.[\w-]{10,}\.", text), "a JWT"
    for blob in re.findall(r'encoded_jit_config":\s*"([^"]+)"', text):
        files = base64.b64decode(blob)
        assert b"credentials_rsaparams" in files
        assert len(files) < 200, "the keys are left out"


async def test_what_is_recorded_from_another_github_says_the_same_and_names_nobody(tmp_path: Path) -> None:
    """The other one is simulated too, but has other accounts, as GitHub itself would."""
    async with simulated_github() as side:
        side.world.install(Installation(71, "somebody"))
        side.world.install(Installation(72, "their-org", {"organization_self_hosted_runners": "write"}))
        environ = {
            "CHASER_RECORD_API_URL": side.url,
            "CHASER_RECORD_APP_ID": str(APP_ID),
            "CHASER_RECORD_USER_INSTALLATION": "71",
            "CHASER_RECORD_USER_REPOSITORY": "somebody/private",
            "CHASER_RECORD_ORGANIZATION_INSTALLATION": "72",
            "CHASER_RECORD_ORGANIZATION_REPOSITORY": "their-org/secret",
        }
        await record_real(environ, Secret(app_keys().private), tmp_path)
    tape = Tape(folder=tmp_path)
    names = {name for name, one in CONVERSATIONS.items() if one.before is None}
    for name in names:
        nothing_secret(text := tape.path(name).read_text())
        assert not re.search(r"somebody|their-org|private|secret|/7[12]/", text)
        conversation = CONVERSATIONS[name]
        async with app_client(API) as client:
            with tape.cassette(name, "none"):
                assert EXPECTED[name](await conversation.lead(client, conversation.owner))
