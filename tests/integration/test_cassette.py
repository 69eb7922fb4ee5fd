"""The recorded conversation, replayed: what the client sends is still what was recorded, byte for byte."""

from chaser.github.registrar import AppRegistrar
from chaser.runners.registration import Registration, Removal
from chaser.simulator import jit
from tests.cassettes.registrar import CASSETTE, cassette, client, converse


async def test_the_recorded_conversation_is_still_the_one_that_is_led() -> None:
    async with client() as opened:
        with cassette("none"):
            blob, found, removed, again, gone = await converse(AppRegistrar(opened))
    assert jit.decode(blob)[".runner"]["AgentName"] == "chaser-tape-1"
    assert found == Registration(1, "chaser-tape-1", online=False, busy=False)
    assert (removed, again, gone) == (Removal.REMOVED, Removal.ABSENT, None)


def test_it_says_where_it_is_from_and_holds_no_credentials() -> None:
    text = CASSETTE.read_text()
    assert text.startswith("# Recorded from the simulated GitHub")
    assert "uthorization:" not in text
    assert "PRIVATE KEY" not in text
