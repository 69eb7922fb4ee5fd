"""The App as its owner has registered it: how it is described, and where its deliveries go."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class App:
    """How the App is described; its id and key are the world's, since they decide who calls."""

    name: str = "Chaser (simulated)"
    slug: str = "chaser-simulated"
    owner: str = "octocat"
    permissions: Mapping[str, str] | None = None
    """None: what its first installation has."""
    events: tuple[str, ...] = ("workflow_job",)
    setup_url: str | None = None


@dataclass(slots=True)
class Hook:
    """Where the App's deliveries go. https://docs.github.com/en/rest/apps/webhooks"""

    url: str | None = None
    """None: nowhere, and nothing is sent."""
    secret: str = field(default="", repr=False)
    content_type: str = "json"
    insecure_ssl: str = "0"
