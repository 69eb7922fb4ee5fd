"""Images as work of their own: present, pulled once for all who wait, or refused with the registry's own reason."""

from typing import Protocol

from chaser.sandboxes.engine import Image
from chaser.sandboxes.spec import PullPolicy


class ImageSource(Protocol):
    async def ensure(self, reference: str, policy: PullPolicy, registries: frozenset[str] | None) -> Image:
        """The image, present on the engine.

        Raises `Refused` with `image_not_found`, `image_forbidden`, `registry_unauthorized`, `image_unusable`,
        `pull_timeout`; `Unavailable` with `registry_unavailable`, `engine_unavailable`.
        """
        ...
