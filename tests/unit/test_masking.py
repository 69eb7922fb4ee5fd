"""Secrets do not get into what is stored, however the stream is cut and whatever form they take."""

import base64
import json
from collections.abc import Sequence
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chaser.sandboxes.masking import PIECE, Masker
from tests.unit.test_markers import PLACES, cut

LETTERS = st.characters(codec="utf-8", exclude_characters="*\x00", exclude_categories=("Cs",))
SECRETS = st.lists(st.text(LETTERS, min_size=4, max_size=40), min_size=1, max_size=4)
FEW = st.text("ab", min_size=4, max_size=9)
"""Secrets that overlap themselves and one another."""


def masked(secrets: Sequence[str], pieces: Sequence[bytes]) -> bytes:
    masker = Masker(secrets)
    return b"".join(fed(masker, piece) for piece in pieces) + finished(masker)


def fed(masker: Masker, data: bytes) -> bytes:
    return b"".join(shown.data for shown in masker.feed(data))


def finished(masker: Masker) -> bytes:
    return b"".join(shown.data for shown in masker.finish())


def forms(secret: str) -> list[bytes]:
    raw = secret.encode()
    whole = [
        raw,
        quote(secret, safe="").encode(),
        quote_plus(secret).encode(),
        json.dumps(secret)[1:-1].encode(),
        json.dumps(secret, ensure_ascii=False)[1:-1].encode(),
    ]
    for offset in range(3):
        # What stands in base64 text for these bytes alone, whatever stands before and after them.
        some, other = (base64.b64encode(bytes([b]) * offset + raw + bytes([b]) * 3) for b in (0, 255))
        first, last = -(-offset * 8 // 6), (offset + len(raw)) * 8 // 6
        assert some[first:last] == other[first:last]
        whole.append(some[first:last])
    return whole


@given(secrets=SECRETS, between=st.lists(st.binary(max_size=30), min_size=1, max_size=4), places=PLACES)
def test_no_form_of_a_secret_is_left(secrets: list[str], between: list[bytes], places: list[int]) -> None:
    shown = [form for secret in secrets for form in forms(secret)]
    text = b"".join(filler + form for form in shown for filler in between)

    found = masked(secrets, cut(text, places))

    for form in shown:
        if len(form) >= 4 and b"*" not in form:
            assert form not in found


@given(secrets=st.lists(FEW, min_size=1, max_size=3), text=st.text("ab", max_size=80), places=PLACES)
def test_overlapping_secrets_are_all_taken_out(secrets: list[str], text: str, places: list[int]) -> None:
    found = masked(secrets, cut(text.encode(), places))

    for secret in secrets:
        assert secret.encode() not in found


@given(secrets=st.lists(FEW, min_size=1, max_size=3), text=st.text("ab", max_size=80), places=PLACES)
def test_what_is_shown_does_not_depend_on_how_the_stream_is_cut(
    secrets: list[str], text: str, places: list[int]
) -> None:
    assert masked(secrets, cut(text.encode(), places)) == masked(secrets, [text.encode()])


@given(secrets=SECRETS, text=st.binary(max_size=300), places=PLACES)
def test_output_without_secrets_is_unchanged(secrets: list[str], text: bytes, places: list[int]) -> None:
    assume(not any(form in text for secret in secrets for form in forms(secret) if form))
    assume(not any(line.encode() in text for secret in secrets for line in secret.splitlines()))
    assume(b"***" not in text)
    if masked(secrets, [text]) == text:
        assert masked(secrets, cut(text, places)) == text
    else:
        # Only a form of a line, or base64 text in the URL-safe alphabet, is left to explain it.
        assert b"***" in masked(secrets, [text])


@pytest.mark.parametrize("text", [b"", b"nothing to see", bytes(range(256))])
def test_plain_output_passes(text: bytes) -> None:
    assert masked(["a secret value"], [text]) == text


def test_each_line_of_a_secret_is_one_too() -> None:
    assert masked(["first line\nok\nsecond line"], [b"first line / ok / second line"]) == b"*** / ok / ***"


@pytest.mark.parametrize("secret", ["", "a", "abc", "äöü"])
def test_a_text_of_fewer_than_four_characters_is_left(secret: str) -> None:
    assert masked([secret], [f"xx {secret} xx".encode()]) == f"xx {secret} xx".encode()


def test_without_secrets_nothing_is_held_back() -> None:
    assert fed(Masker([]), b"text") == b"text"


def test_only_what_may_become_a_secret_is_held_back() -> None:
    masker = Masker(["abcdef"])

    assert fed(masker, b"xyzabc") == b"xyz"
    assert fed(masker, b"dxx") == b"abcdxx"


def test_a_secret_longer_than_a_piece_is_taken_out_piece_by_piece() -> None:
    secret = "".join(f"{number:06x}" for number in range(PIECE))

    assert masked([secret], cut(f"<{secret}>".encode(), [100, 700, 1500])) == b"<***>".replace(
        b"***", b"***" * (len(secret) // PIECE)
    )


def test_a_run_without_end_of_a_secret_that_overlaps_itself_is_not_held_back() -> None:
    masker = Masker(["aaaa"])

    shown = [fed(masker, b"a" * 1000) for _ in range(50)]

    assert b"".join(shown) == b"***"
    assert finished(masker) == b""


@given(secrets=st.lists(FEW, min_size=1, max_size=3), text=st.text("ab", max_size=80), places=PLACES)
def test_what_is_shown_stands_for_all_bytes_that_are_not_held_back(
    secrets: list[str], text: str, places: list[int]
) -> None:
    masker = Masker(secrets)
    came = shown = 0

    for piece in cut(text.encode(), places):
        came += len(piece)
        shown += sum(each.raw for each in masker.feed(piece))
        assert came == shown + masker.held
    shown += sum(each.raw for each in masker.finish())

    assert came == shown


@given(
    secrets=st.lists(FEW, min_size=1, max_size=3),
    text=st.text("ab", max_size=80),
    places=PLACES,
    stop=st.integers(0, 30),
)
def test_another_masker_goes_on_where_one_has_stopped(
    secrets: list[str], text: str, places: list[int], stop: int
) -> None:
    """It needs no more than the place, and how much beyond it a mask that was shown covers."""
    first, before, place = Masker(secrets), b"", 0
    for piece in cut(text.encode(), places)[:stop]:
        for shown in first.feed(piece):
            before += shown.data
            place += shown.raw

    second = Masker(secrets, first.covered)
    after = b"".join(fed(second, piece) for piece in cut(text.encode()[place:], places)) + finished(second)

    assert before + after == masked(secrets, [text.encode()])
