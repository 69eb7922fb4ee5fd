"""The way to GitHub with the credentials that are in force, which the setup page can change while the service runs."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

import structlog

from chaser.errors import ConfigError, Unavailable
from chaser.measures import Measure
from chaser.runners.ages import Ages
from chaser.runners.app import App, Apps, Connect, Connection, Credentials
from chaser.runners.budget import Spending, measures
from chaser.runners.lookout import Lookout
from chaser.runners.registration import Registrar, WorkflowJobs, WorkflowRuns
from chaser.secret import Secret

LOOK_SECONDS = 10.0
"""How long it takes at most until this process knows what another one has set up."""

_log = structlog.stdlib.get_logger("chaser.github")


class Access:
    """Settings go before what is stored. Whoever makes it closes it."""

    def __init__(
        self,
        apps: Apps,
        connect: Connect,
        *,
        given: Credentials | None,
        given_secrets: Sequence[Secret],
        trust: Callable[[Sequence[Secret]], None],
    ) -> None:
        """`trust` is told which secrets deliveries may be signed with, at once and whenever that changes."""
        self._apps = apps
        self._connect = connect
        self.given = given
        """The App that the settings name; then no other can be set up."""
        self._given_secrets = tuple(given_secrets)
        self._trust = trust
        self._stack = AsyncExitStack()
        self._lock = asyncio.Lock()
        self._credentials: Credentials | None = None
        self._trusted: tuple[Secret, ...] | None = None
        self.connection: Connection | None = None
        """None: there are no credentials."""
        self.app: App | None = None
        """The App that was made by the setup page, where that is the one in use."""

    def registrar(self) -> Registrar | None:
        return None if self.connection is None else self.connection.registrar

    def lookout(self) -> Lookout | None:
        return None if self.connection is None else self.connection.lookout

    def ages(self) -> Ages | None:
        return None if self.connection is None else self.connection.ages

    def remaining(self, installation_id: int) -> float:
        """Which part is left of an installation's budget for calls."""
        return 1.0 if self.connection is None else self.connection.budgets.remaining(installation_id)

    def workflow_jobs(self) -> WorkflowJobs | None:
        return None if self.connection is None else self.connection.workflow_jobs

    def spendings(self) -> Sequence[Spending]:
        """What calls came to with the credentials in force."""
        return () if self.connection is None else self.connection.budgets.spendings()

    def measures(self) -> Sequence[Measure]:
        return measures(self.spendings())

    def workflow_runs(self) -> WorkflowRuns | None:
        return None if self.connection is None else self.connection.workflow_runs

    async def refresh(self) -> bool:
        """Use what is in force now; returns whether that is another App than before.

        Raises `Unavailable`, and `ConfigError` for credentials that are none.
        """
        async with self._lock:
            self.app = None if self.given is not None else await self._apps.get()
            changed = await self._use(self.given or (None if self.app is None else self.app.credentials))
            stored = () if self.app is None else self.app.webhook_secrets
            self._tell((*self._given_secrets, *(each for each in stored if each not in self._given_secrets)))
            return changed

    async def watch(self) -> None:
        """Keep up with what other processes set up."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                if await self.refresh():
                    _log.info(
                        "Speaking for another GitHub App.", action="app", slug=self.app and self.app.slug
                    )
            except (Unavailable, ConfigError) as error:
                _log.warning("Could not look for the App's credentials.", action="app", error=str(error))

    async def close(self) -> None:
        await self._stack.aclose()

    async def _use(self, credentials: Credentials | None) -> bool:
        """Connections that are replaced stay open until the end: somebody may be using them, and it happens seldom."""
        if credentials == self._credentials:
            return False
        if credentials is None:
            self.connection = None
        else:
            self.connection = await self._stack.enter_async_context(self._connect(credentials))
        self._credentials = credentials
        return True

    def _tell(self, secrets: tuple[Secret, ...]) -> None:
        if secrets != self._trusted:
            self._trust(secrets)
            self._trusted = secrets
