"""API keys: what they look like, when they hold, and that they show nowhere."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chaser.ids import KeyId
from chaser.keys import ALL_SCOPES, ApiKey, generate, parse

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = generate()
KEY = ApiKey(KeyId("key_1"), "ci", SECRET.public, SECRET.digest, ALL_SCOPES, NOW)
DAY = timedelta(days=1)


def test_a_key_is_what_its_text_says() -> None:
    again = parse(SECRET.text)

    assert again is not None
    assert (again.text, again.public, again.digest) == (SECRET.text, SECRET.public, SECRET.digest)
    assert SECRET.text.startswith(f"sk_{SECRET.public}")


def test_keys_differ() -> None:
    assert len({generate().text for _ in range(100)}) == 100


@pytest.mark.parametrize("place", range(3, len(SECRET.text)))
def test_a_typing_error_is_told_from_a_wrong_key(place: int) -> None:
    wrong = "x" if SECRET.text[place] != "x" else "y"

    assert parse(SECRET.text[:place] + wrong + SECRET.text[place + 1 :]) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sk_",
        SECRET.text[:-1],
        SECRET.text + "0",
        "pk_" + SECRET.text[3:],
        " " + SECRET.text,
        "sk_" + "ä" * 46,
    ],
)
def test_what_cannot_be_a_key_is_none(text: str) -> None:
    assert parse(text) is None


def test_only_its_own_secret_opens_a_key() -> None:
    assert KEY.opened_by(SECRET)
    assert not KEY.opened_by(generate())


def test_a_key_holds_until_it_expires_or_is_revoked() -> None:
    assert KEY.valid_at(NOW + 1000 * DAY)
    expiring = replace(KEY, expires_at=NOW + DAY)
    assert expiring.valid_at(NOW)
    assert not expiring.valid_at(NOW + DAY)
    assert not replace(KEY, revoked_at=NOW).valid_at(NOW)


def test_a_secret_shows_in_no_repr() -> None:
    assert SECRET.text not in repr(SECRET)
    assert SECRET.text not in repr(KEY)
