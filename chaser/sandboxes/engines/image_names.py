"""Images by their names (https://docs.docker.com/reference/api/engine/, Image): which are in use, and their removal."""

from typing import Any, cast

from docker.errors import APIError, NotFound

from chaser.sandboxes.engines.volumes import Run


class DockerImageNames:
    def __init__(self, run: Run) -> None:
        self._run = run

    async def in_use(self) -> frozenset[str]:
        found = await self._run(lambda client: client.containers(all=True))
        return frozenset(cast("str", each["ImageID"]) for each in cast("list[dict[str, Any]]", found))

    async def remove(self, name: str) -> bool:
        try:
            # Neither by force, nor with the images below it that have no name: those may be somebody's builds.
            await self._run(lambda client: client.remove_image(name, force=False, noprune=True))
        except NotFound:
            return True
        except APIError as error:
            if error.status_code != 409:
                raise
            return False
        return True
