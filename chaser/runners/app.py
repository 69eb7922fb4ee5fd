"""The GitHub App as the fleet knows it: declared here; `chaser.store` keeps it, and `chaser.github` makes and speaks for it."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from chaser.findings import Finding
from chaser.runners.ages import Ages
from chaser.runners.budget import Budgets
from chaser.runners.lookout import Lookout
from chaser.runners.registration import Registrar, WorkflowJobs, WorkflowRuns
from chaser.secret import Secret


@dataclass(frozen=True, slots=True)
class Credentials:
    """`app_id` is the App's id or its client id; `private_key` is a PEM."""

    app_id: str
    private_key: Secret


@dataclass(frozen=True, slots=True)
class App:
    """An App that was made by the setup page, with its secrets."""

    app_id: str
    slug: str
    owner: str
    """The login of the account that owns it."""
    page: str
    """The App's own page at GitHub."""
    private_key: Secret
    webhook_secrets: tuple[Secret, ...]
    """The present one, and after it those that are still accepted."""
    created_at: datetime

    @property
    def credentials(self) -> Credentials:
        return Credentials(self.app_id, self.private_key)

    @property
    def install_page(self) -> str:
        return f"{self.page}/installations/new"


class Apps(Protocol):
    async def get(self) -> App | None:
        """The App in use; none has been made if none."""
        ...

    async def keep(self, app: App) -> None:
        """From now on this is the App in use. When this returns, it is on disk, its secrets sealed."""
        ...


class Account(StrEnum):
    """Whose an App is: that decides what it must be allowed."""

    ORGANIZATION = "organization"
    PERSONAL = "personal"


@dataclass(frozen=True, slots=True)
class Wanted:
    """An App to be made. `organization` of none: for a personal account."""

    name: str
    organization: str | None
    public_url: str
    """The service's address, as GitHub reaches it."""
    redirect_url: str
    """Where GitHub sends the browser with the code."""
    setup_url: str
    """Where GitHub sends the browser once the App is installed."""

    @property
    def account(self) -> Account:
        return Account.PERSONAL if self.organization is None else Account.ORGANIZATION


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the browser posts to `action`, in the field `manifest`, so that GitHub offers to make the App."""

    action: str
    manifest: str
    permissions: Sequence[str]
    """What it may do, as GitHub's pages call it."""


class AppMaker(Protocol):
    def manifest(self, wanted: Wanted, state: str) -> Manifest: ...

    async def convert(self, code: str) -> App:
        """The App that was made, for the code that GitHub sent the browser back with; it is good once, for an hour.

        Raises `Refused` and `Unavailable` as `Registrar` does.
        """
        ...


class Inspection(Protocol):
    """Looks at the App at GitHub. What it finds out it says; it raises nothing that GitHub may answer."""

    async def findings(self, *, send_ping: bool) -> Sequence[Finding]:
        """`send_ping`: have GitHub send its ping again, if its last delivery was not accepted."""
        ...

    async def turn_secret(self, secret: Secret) -> None:
        """From now on GitHub signs with this. Raises as `Registrar` does."""
        ...


@dataclass(frozen=True, slots=True)
class Connection:
    """All that can be asked of GitHub with one App's credentials."""

    registrar: Registrar
    workflow_jobs: WorkflowJobs
    workflow_runs: WorkflowRuns
    inspection: Inspection
    ages: Ages
    budgets: Budgets
    lookout: Lookout


class Connect(Protocol):
    def __call__(self, credentials: Credentials) -> AbstractAsyncContextManager[Connection]:
        """Raises `ConfigError` if the private key is none."""
        ...
