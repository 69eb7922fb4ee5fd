"""Which credentials and secrets are in force."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import cast

from chaser.runners.access import Access
from chaser.runners.ages import Ages
from chaser.runners.app import App, Connection, Credentials, Inspection
from chaser.runners.budget import Budgets
from chaser.runners.lookout import Lookout
from chaser.runners.registration import Registrar, WorkflowJobs, WorkflowRuns
from chaser.secret import Secret

NOW = datetime(2026, 1, 5, tzinfo=UTC)
GIVEN = Credentials("1", Secret("the key of the settings"))
APP = App(
    "2", "chaser-ci", "octo-org", "https://x/apps/chaser-ci", Secret("its key"), (Secret("its secret"),), NOW
)


@dataclass
class Kept:
    app: App | None = None

    async def get(self) -> App | None:
        return self.app

    async def keep(self, app: App) -> None:
        self.app = app


@dataclass
class Bench:
    """Connections that were opened and closed, and what was told to be trusted."""

    kept: Kept = field(default_factory=Kept)
    opened: list[Credentials] = field(default_factory=list[Credentials])
    closed: list[Credentials] = field(default_factory=list[Credentials])
    trusted: list[tuple[Secret, ...]] = field(default_factory=list[tuple[Secret, ...]])

    @asynccontextmanager
    async def connect(self, credentials: Credentials) -> AsyncGenerator[Connection]:
        self.opened.append(credentials)
        some = object()
        yield Connection(
            cast("Registrar", some),
            cast("WorkflowJobs", some),
            cast("WorkflowRuns", some),
            cast("Inspection", some),
            cast("Ages", some),
            cast("Budgets", some),
            cast("Lookout", some),
        )
        self.closed.append(credentials)

    def trust(self, secrets: Sequence[Secret]) -> None:
        self.trusted.append(tuple(secrets))

    def access(self, given: Credentials | None = None, given_secrets: Sequence[Secret] = ()) -> Access:
        return Access(self.kept, self.connect, given=given, given_secrets=given_secrets, trust=self.trust)


async def test_without_credentials_there_is_no_registrar() -> None:
    bench = Bench()
    access = bench.access()
    await access.refresh()
    assert access.registrar() is None
    assert bench.trusted == [()]


async def test_what_is_stored_is_used_and_kept_up_with() -> None:
    bench = Bench()
    access = bench.access()
    await access.refresh()
    await bench.kept.keep(APP)
    assert await access.refresh()
    assert not await access.refresh()
    assert bench.opened == [APP.credentials]
    assert access.registrar() is not None
    assert bench.trusted == [(), APP.webhook_secrets]
    turned = replace(APP, webhook_secrets=(Secret("the new one"), *APP.webhook_secrets))
    await bench.kept.keep(turned)
    await access.refresh()
    assert bench.opened == [APP.credentials], "a new secret is no new App"
    assert bench.trusted[-1] == turned.webhook_secrets
    await access.close()
    assert bench.closed == bench.opened


async def test_settings_go_before_what_is_stored() -> None:
    bench = Bench(Kept(APP))
    access = bench.access(GIVEN, (Secret("of the settings"),))
    await access.refresh()
    assert bench.opened == [GIVEN]
    assert access.app is None
    assert bench.trusted == [(Secret("of the settings"),)]
    await access.close()


async def test_a_secret_of_the_settings_is_trusted_beside_a_stored_app() -> None:
    bench = Bench(Kept(APP))
    access = bench.access(None, APP.webhook_secrets)
    await access.refresh()
    assert bench.trusted == [APP.webhook_secrets]
    await access.close()


async def test_a_replaced_connection_stays_open_for_those_who_use_it() -> None:
    bench = Bench(Kept(APP))
    access = bench.access()
    await access.refresh()
    other = replace(APP, app_id="3")
    await bench.kept.keep(other)
    await access.refresh()
    assert bench.opened == [APP.credentials, other.credentials]
    assert bench.closed == []
    await access.close()
    assert set(bench.closed) == set(bench.opened)
