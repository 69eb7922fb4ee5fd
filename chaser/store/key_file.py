"""Where the sealing keys come from: a file that only its owner may read, or a setting.

One key a line. The first seals, all of them open, so a rotation is: add the new key as the last line everywhere,
then move it to the top everywhere, reseal, and remove the old line. Empty lines and lines beginning with `#` are skipped.
"""

import os
import secrets
from pathlib import Path

from chaser.errors import ConfigError
from chaser.store.sealing import SealingKey, generate, parse_all


def keys_from_file(path: Path) -> tuple[SealingKey, ...]:
    """The keys in the file at `path`, which is made, with a fresh key, if it does not exist."""
    try:
        if not path.exists():
            _make(path)
        return _read(path)
    except OSError as error:
        raise ConfigError((f"the key file {path} cannot be used: {error.strerror}",)) from error


def keys_from_text(text: str, name: str) -> tuple[SealingKey, ...]:
    """The keys in a setting, separated by commas. `name` is the setting's, for messages."""
    parts = text.split(",")
    return parse_all(parts, [f"{name}, key {number}" for number in range(1, len(parts) + 1)])


def _read(path: Path) -> tuple[SealingKey, ...]:
    with path.open(encoding="ascii", errors="replace") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise ConfigError((f"{path} holds keys and others may read it; run: chmod 600 {path}",))
        lines = [(number, line.strip()) for number, line in enumerate(file, 1)]
    kept = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if not kept:
        raise ConfigError((f"{path} holds no key; restore it from your backup, or remove it to begin anew",))
    return parse_all([line for _, line in kept], [f"{path}, line {number}" for number, _ in kept])


def _make(path: Path) -> None:
    """Whole or not at all, and never over another process's file: the link fails if `path` has come to exist."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(
                "# Sealing keys of Chaser. Keep a backup apart from the database's: without it nothing sealed opens.\n"
                f"{generate().text}\n"
            )
            file.flush()
            os.fsync(file.fileno())
        _link_if_absent(draft, path)
    finally:
        draft.unlink()
    _sync_folder(path.parent)


def _link_if_absent(draft: Path, path: Path) -> None:
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
