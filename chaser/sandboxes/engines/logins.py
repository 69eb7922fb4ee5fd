"""Registry logins of the user who runs the service, as `docker login` and credential helpers keep them."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from docker import auth
from docker.errors import DockerException

from chaser.errors import Refused
from chaser.jobs.reason import Reason
from chaser.sandboxes.registry import Login
from chaser.secret import Secret


class DockerLogins:
    """Read anew at each question, so that a `docker login` counts at once.

    `config_file` of none: where `DOCKER_CONFIG` says, else `~/.docker/config.json`.
    """

    def __init__(self, config_file: Path | None = None) -> None:
        self._config_file = config_file

    async def find(self, host: str) -> Login | None:
        return await asyncio.to_thread(self._find, host)

    def _find(self, host: str) -> Login | None:
        path = None if self._config_file is None else str(self._config_file)
        try:
            config = auth.load_config(path)  # pyright: ignore[reportUnknownMemberType]  # the SDK is untyped
            found = cast("Mapping[str, str] | None", config.resolve_authconfig(host))  # pyright: ignore[reportUnknownMemberType]
        except (DockerException, ValueError) as error:
            raise Refused(Reason.REGISTRY_UNAUTHORIZED, _UNREADABLE.format(host)) from error
        return None if found is None else _login(found)


def _login(found: Mapping[str, str]) -> Login | None:
    """Files spell the keys small, credential helpers large; an entry without any is one that has logged out."""
    values = {key.lower(): value for key, value in found.items()}
    login = Login(
        values.get("username", ""),
        Secret(values.get("password", "")),
        Secret(values.get("identitytoken", "")),
    )
    return login if login.username or login.identity else None


_UNREADABLE = (
    "The login for {} cannot be read from the Docker configuration of the service's user: log in there again with "
    "docker login, mend its credential helper, or configure the registry in [registries]."
)
