"""What owners of accounts do with the App: install it, choose repositories, suspend and remove it. Each sends its event.

https://docs.github.com/en/webhooks/webhook-events-and-payloads#installation
"""

from dataclasses import replace
from typing import Literal

from chaser.simulator.answers import installation_body
from chaser.simulator.payload import installation_event, ping, repositories_event
from chaser.simulator.post import Post
from chaser.simulator.world import Installation, World


class Installing:
    def __init__(self, world: World, post: Post) -> None:
        self._world = world
        self._post = post

    def install(self, installation: Installation) -> None:
        self._world.install(installation)
        self._tell("created", installation)

    def delete(self, installation: Installation) -> None:
        """Its tokens are worthless from now on, since they belong to nobody."""
        del self._world.installations[installation.id]
        self._tell("deleted", installation)

    def suspend(self, installation: Installation, *, suspended: bool) -> None:
        installation.suspended = suspended
        self._tell("suspend" if suspended else "unsuspend", installation)

    def grant(self, installation: Installation, permissions: dict[str, str]) -> None:
        """The owner accepts what the App newly asks for."""
        installation.permissions = permissions
        self._tell("new_permissions_accepted", installation)

    def choose(self, installation: Installation, repositories: frozenset[str]) -> None:
        """The App may see these repositories, and no others."""
        before = installation.repositories or frozenset()
        installation.repositories = repositories
        self._tell_repositories("added", installation, repositories - before)
        self._tell_repositories("removed", installation, before - repositories)

    def ping(self) -> None:
        self._post.send("ping", ping(self._world.app_id))

    def _tell(self, action: str, installation: Installation) -> None:
        listed = sorted(installation.repositories or ()) if action in {"created", "deleted"} else None
        body = installation_body(self._world, replace(installation))
        self._post.send("installation", installation_event(action, body, listed))

    def _tell_repositories(
        self, action: Literal["added", "removed"], installation: Installation, names: frozenset[str]
    ) -> None:
        if names:
            body = installation_body(self._world, installation)
            self._post.send("installation_repositories", repositories_event(action, body, sorted(names)))
