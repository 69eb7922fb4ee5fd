"""Sealing, and where its keys come from."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chaser.errors import ConfigError
from chaser.store.key_file import keys_from_file, keys_from_text
from chaser.store.sealing import ID_SLICE, Sealer, SealingKey, Unsealable, generate, parse

OLD, NEW = generate(), generate()


def test_what_is_sealed_opens_in_its_place() -> None:
    sealer = Sealer([OLD])

    assert sealer.open("jobs/1", sealer.seal("jobs/1", b"clear")) == b"clear"


def test_the_same_text_is_sealed_differently_each_time() -> None:
    sealer = Sealer([OLD])

    first, second = sealer.seal("jobs/1", b"clear text"), sealer.seal("jobs/1", b"clear text")

    assert first != second
    assert b"clear" not in first


def test_a_sealed_value_does_not_open_in_another_row() -> None:
    sealer = Sealer([OLD])

    with pytest.raises(Unsealable, match="jobs/2 was altered or moved"):
        sealer.open("jobs/2", sealer.seal("jobs/1", b"clear"))


@pytest.mark.parametrize("at", range(50))
def test_no_byte_can_be_changed(at: int) -> None:
    sealer = Sealer([OLD])
    sealed = bytearray(sealer.seal("jobs/1", b"seventeen bytes.."))
    assert len(sealed) == 50
    sealed[at] ^= 1

    with pytest.raises(Unsealable):
        sealer.open("jobs/1", bytes(sealed))


@pytest.mark.parametrize("length", range(50))
def test_no_part_can_be_cut_off(length: int) -> None:
    sealer = Sealer([OLD])
    sealed = sealer.seal("jobs/1", b"seventeen bytes..")

    with pytest.raises(Unsealable):
        sealer.open("jobs/1", sealed[:length])


def test_the_first_key_seals_and_all_open() -> None:
    sealed = Sealer([OLD]).seal("jobs/1", b"clear")
    rotated = Sealer([NEW, OLD])

    assert rotated.open("jobs/1", sealed) == b"clear"
    assert rotated.seal("jobs/1", b"clear")[ID_SLICE] == NEW.id


def test_a_missing_key_is_named_and_no_key_is_shown() -> None:
    sealed = Sealer([OLD]).seal("jobs/1", b"clear")

    with pytest.raises(Unsealable) as caught:
        Sealer([NEW]).open("jobs/1", sealed)

    message = str(caught.value)
    assert OLD.id.hex() in message
    assert NEW.text not in message


def test_a_key_does_not_show_itself() -> None:
    assert OLD.text not in repr(OLD)
    assert str(OLD.raw) not in repr(OLD)


def test_no_key_is_no_sealer() -> None:
    with pytest.raises(ConfigError, match="no sealing key"):
        Sealer([])


def test_a_key_is_read_as_it_is_written() -> None:
    assert parse(OLD.text) == OLD
    assert parse(f" {OLD.text}\n") == OLD


@pytest.mark.parametrize("text", ["", "short", "é" * 44, "=" * 44, generate().text[:-4], generate().text * 2])
def test_what_is_not_32_bytes_in_base_64_is_no_key(text: str) -> None:
    assert parse(text) is None


def test_keys_from_a_setting_are_separated_by_commas() -> None:
    assert keys_from_text(f"{NEW.text}, {OLD.text}", "CHASER_SECRET_KEYS") == (NEW, OLD)


def test_each_bad_key_of_a_setting_is_named_and_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        keys_from_text(f"wrong-one,{OLD.text},wrong-two", "CHASER_SECRET_KEYS")

    assert [fault.split(" is ")[0] for fault in caught.value.faults] == [
        "CHASER_SECRET_KEYS, key 1",
        "CHASER_SECRET_KEYS, key 3",
    ]
    assert "wrong" not in str(caught.value)


def test_a_key_file_is_made_on_first_use_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "keys"

    made = keys_from_file(path)

    assert len(made) == 1
    assert keys_from_file(path) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_a_wide_umask_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    before = os.umask(0)
    try:
        keys_from_file(path)
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_of_many_first_users_all_get_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "keys"

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(keys_from_file, [path] * 40))

    assert len(found) == 1


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_keys_stand_one_a_line_and_comments_are_skipped(tmp_path: Path) -> None:
    path = written(tmp_path / "keys", f"# of 2026\n{NEW.text}\n\n  {OLD.text}  \n")

    assert keys_from_file(path) == (NEW, OLD)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = written(tmp_path / "keys", OLD.text, mode)

    with pytest.raises(ConfigError, match=f"chmod 600 {path}"):
        keys_from_file(path)


def test_a_bad_line_is_named_and_not_shown(tmp_path: Path) -> None:
    path = written(tmp_path / "keys", f"{OLD.text}\nnot-a-key\n")

    with pytest.raises(ConfigError, match="keys, line 2 is not a sealing key") as caught:
        keys_from_file(path)

    assert "not-a-key" not in str(caught.value)


def test_a_file_without_a_key_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "keys", "# nothing\n")

    with pytest.raises(ConfigError, match="holds no key"):
        keys_from_file(path)


def test_equal_keys_have_equal_ids() -> None:
    assert SealingKey(OLD.raw).id == OLD.id
    assert OLD.id != NEW.id


def test_what_cannot_be_read_as_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{tmp_path} cannot be used: Is a directory"):
        keys_from_file(tmp_path)
