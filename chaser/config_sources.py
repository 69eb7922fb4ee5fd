"""Where settings come from: a TOML file and the environment, each read into one nested document.

A secret may be given by value (`private_key`) or by the path of a file that holds it (`private_key_file`,
`CHASER_GITHUB__PRIVATE_KEY_FILE`). Both become one entry under the secret's own name, so that the environment's
spelling overrides the file's, whichever it is.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

Document = dict[str, object]
Location = tuple[str, ...]

PREFIX = "CHASER_"
CLIENT_NAMES = frozenset({"CHASER_API_URL", "CHASER_API_KEY", "CHASER_CONFIG"})
"""Variables that share the prefix and are no settings of the service."""

_SECRETS: frozenset[Location] = frozenset(
    {
        ("secret_keys",),
        ("database_url",),
        ("github", "private_key"),
        ("github", "webhook_secret"),
        ("github", "webhook_secret_previous"),
        ("registries", "*", "password"),
    }
)
_FILE = "_file"


@dataclass(frozen=True, slots=True)
class SecretFile:
    """The path of a file that holds a secret, in the place of the secret."""

    path: str


@dataclass(slots=True)
class Given:
    """One source's document, how it names each of its entries, and what could not be read."""

    values: Document = field(default_factory=dict[str, object])
    names: dict[Location, str] = field(default_factory=dict[Location, str])
    faults: list[str] = field(default_factory=list[str])


def from_environment(environ: Mapping[str, str]) -> Given:
    """`CHASER_A__B=c` is `c` at `a.b`. Every variable with the prefix must be a setting."""
    given = Given()
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in CLIENT_NAMES:
            location = tuple(name.removeprefix(PREFIX).lower().split("__"))
            _plant(given, location, environ[name], name)
    return given


def of_the_user(environ: Mapping[str, str]) -> Given:
    """Defaults that variables of other programs decide (https://specifications.freedesktop.org/basedir-spec)."""
    given = Given()
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    data = environ.get("XDG_DATA_HOME", "")
    base = Path(data) if data.startswith("/") else home / ".local" / "share"
    _set(given, ("data_dir",), base / "chaser", "the default of data_dir")
    if environ.get("DOCKER_HOST"):
        _set(given, ("docker_host",), environ["DOCKER_HOST"], "DOCKER_HOST")
    return given


def from_file(path: Path | None) -> Given:
    given = Given()
    if path is None:
        return given
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        given.faults.append(f"{path}: cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        given.faults.append(f"{path}: must be UTF-8 text")
    except tomllib.TOMLDecodeError as error:
        given.faults.append(f"{path}: is not TOML: {error}")
    else:
        _plant_table(given, (), document, path)
    return given


def _plant_table(given: Given, at: Location, table: Mapping[str, object], path: Path) -> None:
    for key, value in table.items():
        location = (*at, key)
        if isinstance(value, dict):
            empty: Document = {}
            _set(given, location, empty, _named(location, path))
            _plant_table(given, location, cast("Mapping[str, object]", value), path)
        else:
            _plant(given, location, value, _named(location, path))


def _named(location: Location, path: Path) -> str:
    return f"{'.'.join(location)} in {path.name}"


def _plant(given: Given, location: Location, value: object, name: str) -> None:
    secret = _secret_named_by(location)
    if secret is not None:
        location, value = secret, SecretFile(str(value))
    if location in given.names:
        given.faults.append(f"{name}: {given.names[location]} says the same; keep one of the two")
    else:
        _set(given, location, value, name)


def _secret_named_by(location: Location) -> Location | None:
    """The location of the secret whose file's path is at `location`; none if that is something else."""
    *parents, last = location
    if not last.endswith(_FILE):
        return None
    secret = (*parents, last.removesuffix(_FILE))
    pattern = ("registries", "*", secret[-1]) if len(secret) == 3 and secret[0] == "registries" else secret
    return secret if pattern in _SECRETS else None


def _set(given: Given, location: Location, value: object, name: str) -> None:
    table = given.values
    for key in location[:-1]:
        below = table.setdefault(key, {})
        if not isinstance(below, dict):
            return  # the parent is no table, which validation reports under the parent's name
        table = cast("Document", below)
    table[location[-1]] = value
    given.names[location] = name
