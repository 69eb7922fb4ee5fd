"""What connects this service to GitHub, put together: the credentials in force, the setup page, and what the commands ask.

GitHub's library is large, and loaded when there is something to ask GitHub.
"""

import asyncio
import dataclasses
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from functools import partial

from chaser import doctor
from chaser.clock import Clock, SystemClock
from chaser.config import Settings
from chaser.errors import Refused
from chaser.findings import Finding, failed
from chaser.github.pages import web_url
from chaser.jobs.reason import Reason
from chaser.runners.access import LOOK_SECONDS, Access
from chaser.runners.ages import Ages
from chaser.runners.app import App, AppMaker, Connect, Connection, Credentials
from chaser.runners.lookout import Lookout
from chaser.runners.passes import Purpose, new_pass, new_word
from chaser.runners.ports import DemandFilter
from chaser.runners.registration import Owner
from chaser.secret import Secret
from chaser.setup.endpoint import PATH, SetupEndpoint
from chaser.store.store import Store
from chaser.webhooks.endpoint import PATH as HOOK_PATH

KNOWN_EVERYWHERE = timedelta(seconds=2 * LOOK_SECONDS)
"""After this every process of the service knows what was stored."""

_NEWEST = 100
"""Of so many workflow jobs one is looked for whose account can be asked as."""

_NO_APP = "There is no GitHub App to speak for: run `chaser github setup`, or set github.app_id and github.private_key."
_NOT_OURS_TO_TURN = (
    "The webhook's secret is not kept here: put the new one into github.webhook_secret and the old one into "
    "github.webhook_secret_previous, restart the service, and then change it in the App's settings at GitHub."
)


def make_access(settings: Settings, store: Store, trust: Callable[[Sequence[Secret]], None]) -> Access:
    github = settings.github
    given = (
        None
        if github.app_id is None or github.private_key is None
        else Credentials(github.app_id, github.private_key)
    )
    return Access(
        store.apps,
        _connect(settings, SystemClock()),
        given=given,
        given_secrets=github.webhook_secrets,
        trust=trust,
    )


def make_setup(settings: Settings, store: Store, access: Access) -> SetupEndpoint:
    return SetupEndpoint(
        access,
        store.apps,
        store.passes,
        partial(_maker, settings),
        SystemClock(),
        surroundings=partial(_surroundings, settings, store, access),
        web_url=web_url(settings.github.api_url),
        public_url=settings.public_url,
    )


async def new_link(settings: Settings, store: Store) -> str:
    """A link that opens the setup page, once and for an hour."""
    word = new_word()
    await store.passes.add(new_pass(word, Purpose.LINK, SystemClock().now()))
    return f"{settings.public_url or settings.local_url}{PATH}?link={word}"


async def inspect(settings: Settings, store: Store) -> Sequence[Finding]:
    """Every check of the way to GitHub."""
    async with _opened(settings, store) as access:
        around = await _surroundings(settings, store, access)
        if access.connection is None:
            mend = "Run `chaser github setup`, or set github.app_id and github.private_key."
            return [failed("app", "There are no credentials of a GitHub App", mend), *around]
        return [*await access.connection.inspection.findings(send_ping=False), *around]


async def _surroundings(settings: Settings, store: Store, access: Access) -> Sequence[Finding]:
    """What runners need on this machine, and how long GitHub serves those in the images."""
    owner, ages = await _somebody(store), access.ages()
    ask = None if owner is None or ages is None else partial(ages.standing, owner)
    return await doctor.inspect_for_runners(settings, ask)


async def _somebody(store: Store) -> Owner | None:
    """Any account for which GitHub answers the App; none: nothing has been heard of one yet."""
    installations = await store.installations.list()
    away = {each.id for each in installations if each.deleted_at or each.suspended_at}
    for demand in await store.demands.list(DemandFilter(limit=_NEWEST)):
        said = demand.said
        if said.installation_id is not None and said.installation_id not in away:
            return Owner(said.installation_id, said.repository, said.organization)
    return None


async def turn_secret(settings: Settings, store: Store, pause: timedelta = KNOWN_EVERYWHERE) -> App:
    """Give the App's webhook a new secret. No delivery is refused meanwhile: both are accepted before GitHub takes the new one.

    Raises `Refused` where the secret is not kept here.
    """
    async with _opened(settings, store) as access:
        if access.given is not None:
            raise Refused(Reason.GITHUB_REFUSED, _NOT_OURS_TO_TURN)
        if access.app is None or access.connection is None:
            raise Refused(Reason.NO_APP_CREDENTIALS, _NO_APP)
        new, old = Secret(secrets.token_hex(32)), access.app.webhook_secrets
        # All of the old ones until GitHub has the new one: an earlier turn may have failed half-way, and any may be its.
        await store.apps.keep(dataclasses.replace(access.app, webhook_secrets=(new, *old)))
        await asyncio.sleep(pause.total_seconds())
        await access.connection.inspection.turn_secret(new)
        turned = dataclasses.replace(access.app, webhook_secrets=(new, *old[:1]))
        await store.apps.keep(turned)
        return turned


@asynccontextmanager
async def _opened(settings: Settings, store: Store) -> AsyncGenerator[Access]:
    access = make_access(settings, store, trust=lambda _: None)
    try:
        await access.refresh()
        yield access
    finally:
        await access.close()


def _connect(settings: Settings, clock: Clock) -> Connect:
    def connect(credentials: Credentials) -> AbstractAsyncContextManager[Connection]:
        return _connection(settings, clock, credentials)

    return connect


@asynccontextmanager
async def _connection(
    settings: Settings, clock: Clock, credentials: Credentials
) -> AsyncGenerator[Connection]:
    from chaser.github.budget import Pace  # noqa: PLC0415
    from chaser.github.client import AppClient  # noqa: PLC0415
    from chaser.github.delivery_log import AppDeliveryLog  # noqa: PLC0415
    from chaser.github.inspection import AppInspection  # noqa: PLC0415
    from chaser.github.open_runs import AppOpenRuns  # noqa: PLC0415
    from chaser.github.places import AppPlaces  # noqa: PLC0415
    from chaser.github.reading import Reader  # noqa: PLC0415
    from chaser.github.registrar import AppRegistrar  # noqa: PLC0415
    from chaser.github.versions import AppSchedules  # noqa: PLC0415
    from chaser.github.workflow_jobs import AppWorkflowJobs  # noqa: PLC0415
    from chaser.github.workflow_runs import AppWorkflowRuns  # noqa: PLC0415

    github = settings.github
    pace = Pace(points=github.points_per_minute)
    async with AppClient(credentials, clock, api_url=github.api_url, pace=pace) as client:
        reader = Reader(clock)
        yield Connection(
            AppRegistrar(client, runner_group=github.runner_group),
            AppWorkflowJobs(client),
            AppWorkflowRuns(client),
            AppInspection(client, HOOK_PATH, settings.public_url, github.intake),
            Ages(AppSchedules(client), clock),
            client,
            Lookout(AppDeliveryLog(client, reader), AppOpenRuns(client, reader), AppPlaces(client), client),
        )


def _maker(settings: Settings) -> AppMaker:
    from chaser.github.manifest import ManifestFlow  # noqa: PLC0415

    return ManifestFlow(SystemClock(), HOOK_PATH, api_url=settings.github.api_url)
