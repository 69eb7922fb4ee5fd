"""Who may speak to the webhook."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaser.errors import ConfigError
from chaser.secret import Secret
from chaser.webhooks.signature import ChangingSignatures, Signatures

SECRET = Secret("It's a Secret to Everybody")
BODY = b"Hello, World!"
SIGNED = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
"""GitHub's own test vector: docs.github.com, "Validating webhook deliveries"."""


def test_githubs_test_vector_is_genuine() -> None:
    assert Signatures([SECRET]).genuine(BODY, [SIGNED])


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [""],
        ["sha256="],
        [SIGNED.removeprefix("sha256=")],
        [SIGNED.replace("sha256=", "sha1=")],
        [SIGNED[:-1]],
        [SIGNED + "0"],
        [SIGNED.upper()],
        [SIGNED.replace("7", "8")],
        [SIGNED + "\x00"],
        ["sha256=" + "é" * 64],
        ["sha256=" + "\N{SNOWMAN}" * 64],
        [SIGNED, SIGNED],
        [SIGNED, "sha256=0"],
    ],
)
def test_missing_repeated_malformed_and_wrong_are_refused_alike(headers: list[str]) -> None:
    assert not Signatures([SECRET]).genuine(BODY, headers)


def test_while_a_secret_is_replaced_either_may_sign() -> None:
    assert Signatures([Secret("new"), SECRET]).genuine(BODY, [SIGNED])
    assert Signatures([SECRET, Secret("old")]).genuine(BODY, [SIGNED])
    assert not Signatures([Secret("new")]).genuine(BODY, [SIGNED])


@pytest.mark.parametrize("secrets", [[], [Secret("")], [SECRET, Secret("")]])
def test_an_empty_secret_is_refused_at_construction(secrets: list[Secret]) -> None:
    with pytest.raises(ConfigError, match="webhook_secret"):
        Signatures(secrets)


@given(body=st.binary(max_size=200))
def test_a_signature_is_for_its_body_alone(body: bytes) -> None:
    assert Signatures([SECRET]).genuine(body, [SIGNED]) == (body == BODY)


def test_the_secret_shows_in_no_repr() -> None:
    assert SECRET.reveal() not in repr(SECRET) + repr(Signatures([SECRET]))


def test_secrets_may_come_and_go() -> None:
    changing = ChangingSignatures()
    assert not changing.genuine(BODY, [SIGNED])
    changing.trust([Secret("another"), SECRET])
    assert changing.genuine(BODY, [SIGNED])
    changing.trust([Secret("another")])
    assert not changing.genuine(BODY, [SIGNED])
    changing.trust(())
    assert not changing.genuine(BODY, [SIGNED])
