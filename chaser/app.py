"""The composition root: settings → adapters → core → routes. The only module that knows all the others."""

import asyncio
import platform
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from chaser import __version__, doctor, keys, log
from chaser.api.context import Api, Rules
from chaser.api.middleware import RequestIdentity
from chaser.api.problems import exception_handlers
from chaser.api.routes import routes
from chaser.clock import SystemClock
from chaser.config import Settings
from chaser.errors import Unavailable
from chaser.findings import Finding
from chaser.ids import InstanceId, KeyId, WorkerId, new_id
from chaser.jobs.completion import Completion
from chaser.jobs.dispatcher import Dispatcher
from chaser.jobs.driver import Driver
from chaser.jobs.intake import Intake
from chaser.jobs.kind import Kind
from chaser.jobs.kinds.exec import Exec
from chaser.jobs.reason import Reason
from chaser.jobs.recovery import Recovery
from chaser.runners.labels import Grammar, architecture
from chaser.runners.registration import Registrar
from chaser.runners.runner import Runner
from chaser.sandboxes.engines.bridge import DockerBridge
from chaser.sandboxes.engines.docker import DockerEngine
from chaser.sandboxes.engines.logins import DockerLogins
from chaser.sandboxes.engines.pulls import Pulls
from chaser.sandboxes.host import Host
from chaser.sandboxes.launcher import Deadlines, Launcher
from chaser.sandboxes.networks import EngineNetworks
from chaser.sandboxes.orphans import Orphans
from chaser.sandboxes.output import OutputLimits
from chaser.sandboxes.registry import AllowList, Registries
from chaser.sandboxes.removals import Removals
from chaser.sandboxes.shelf import ImageShelf, PullDeadlines
from chaser.sandboxes.traffic import Traffic
from chaser.service import GRACE, Server, Service, run
from chaser.space import FreeSpace
from chaser.store.key_file import keys_from_file, keys_from_text
from chaser.store.store import Store, open_store
from chaser.webhooks.endpoint import WebhookEndpoint
from chaser.webhooks.signature import Signatures

_log = structlog.stdlib.get_logger("chaser")


def serve(settings: Settings) -> int:
    """Run the service until it is told to stop; returns the exit status."""
    log.configure(settings.log_level)
    _log.info("Starting.", action="start", version=__version__, settings=settings.shown)
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = _open_store(settings)
    return asyncio.run(_serve(settings, store))


@asynccontextmanager
async def open_keys(settings: Settings) -> AsyncGenerator[keys.KeyStore]:
    """The keys of the local store, for a program that needs no key of its own."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = _open_store(settings)
    try:
        yield store.keys
    finally:
        await store.close()


async def inspect_installation(settings: Settings) -> Sequence[Finding]:
    """Every check of the installation, each with its mend."""
    return await doctor.inspect_installation(settings)


async def images_present(settings: Settings, references: Sequence[str]) -> frozenset[str]:
    """Which of these images the engine has."""
    return await doctor.images_present(settings, references)


def _open_store(settings: Settings) -> Store:
    if settings.secret_keys is None:
        sealing = keys_from_file(settings.secret_key_file)
    else:
        text = ",".join(key.reveal() for key in settings.secret_keys)
        sealing = keys_from_text(text, "secret_keys")
    return open_store(settings.database.reveal(), sealing, SystemClock())


async def _serve(settings: Settings, store: Store) -> int:
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        registrar = await _registrar(settings, stack)
        engine = DockerEngine(settings.docker_host, store.instance_id)
        stack.push_async_callback(engine.close)
        pulls = Pulls(engine.host)
        stack.push_async_callback(pulls.close)
        service, api, webhook = _wire(settings, store, registrar, engine, pulls)
        await _first_key(settings, store)
        config = uvicorn.Config(
            application(api, webhook),
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=list(settings.trusted_proxies),
            timeout_graceful_shutdown=GRACE,
        )
        return await run(service, Server(config, service.stopping))


def application(api: Api, webhook: WebhookEndpoint | None) -> Starlette:
    """The routes of a wired service."""
    paths: list[BaseRoute] = list(routes(api))
    if webhook is not None:
        paths.append(webhook.route())
    service = Starlette(
        routes=paths,
        middleware=[Middleware(RequestIdentity, clock=api.clock)],
        exception_handlers=dict(exception_handlers()),
    )
    service.router.redirect_slashes = (
        False  # a path with one more slash is another path: 404, and no redirect of a POST
    )
    return service


Wired = tuple[Service, Api, WebhookEndpoint | None]


def _wire(
    settings: Settings, store: Store, registrar: Registrar | None, engine: DockerEngine, pulls: Pulls
) -> Wired:
    clock = SystemClock()
    worker = WorkerId(new_id("wrk", clock.now()))
    traffic = Traffic()
    removals = Removals(engine, clock, store.jobs.sandbox_gone, traffic)
    networks = EngineNetworks(DockerBridge(engine, store.instance_id))
    images = _images(settings, engine, pulls)
    launcher = _launcher(settings, store.instance_id, engine, traffic)
    host = Host(engine, images, networks, launcher, removals, disk_interval=5.0)
    completion = Completion()
    space = FreeSpace(settings.limits.free_space_bytes, settings.data_dir)
    kinds: Mapping[str, Kind] = {
        kind.name: kind
        for kind in (Exec(settings.profiles), Runner(settings.profiles, store.instance_id, registrar))
    }
    output = OutputLimits(
        keep_bytes=settings.limits.output_keep_bytes, kill_bytes=settings.limits.output_kill_bytes
    )
    driver = Driver(kinds, store.jobs, store.logs, host, completion, clock, output, settings.data_dir)

    caps: dict[KeyId, int | None] = {}

    async def cap_of(key_id: KeyId) -> int | None:
        if key_id not in caps:  # a key's cap never changes
            caps.update({key.id: key.max_running for key in await store.keys.list()})
        return caps.get(key_id)

    dispatcher = Dispatcher(
        store.jobs,
        driver,
        completion,
        clock,
        worker,
        max_running=settings.limits.max_running,
        cap_of=cap_of,
        held=space.shortage,
    )
    intake = Intake(store.jobs, completion, clock, wake=dispatcher.wake, stop_running=dispatcher.stop_running)
    recovery = Recovery(kinds, store.jobs, host, completion, clock, worker, wake=dispatcher.wake)
    api = _api(settings, store, engine, intake, completion, space)
    webhook = _webhook(settings, store, intake)
    orphans = Orphans(engine, store.instance_id, store.jobs.sandboxes_living, removals)
    service = Service(engine, networks, removals, dispatcher, recovery, orphans, space, api.stopping)
    return service, api, webhook


def _images(settings: Settings, engine: DockerEngine, pulls: Pulls) -> ImageShelf:
    return ImageShelf(
        engine,
        pulls,
        Registries(settings.registries.values(), DockerLogins()),
        allowed=AllowList(settings.images.allow),
        deadlines=PullDeadlines(settings.deadlines.pull, settings.deadlines.pull_stall),
    )


def _launcher(settings: Settings, instance: InstanceId, engine: DockerEngine, traffic: Traffic) -> Launcher:
    return Launcher(
        engine,
        instance,
        traffic=traffic,
        max_starting=settings.limits.max_starting,
        deadlines=Deadlines(start=settings.deadlines.start),
        # The engine's log must hold all that is kept: it is what is read on from when an attach is lost.
        log_max_bytes=settings.limits.output_keep_bytes * 5 // 4 + (8 << 20),
    )


def _api(
    settings: Settings,
    store: Store,
    engine: DockerEngine,
    intake: Intake,
    completion: Completion,
    space: FreeSpace,
) -> Api:
    stopping = asyncio.Event()

    def admission() -> None:
        space.check()
        if stopping.is_set():
            raise Unavailable(
                Reason.STOPPING, "The service is stopping; send this again in a moment.", retry_after=5
            )

    return Api(
        jobs=store.jobs,
        logs=store.logs,
        keys=store.keys,
        intake=intake,
        completion=completion,
        profiles=settings.profiles,
        clock=SystemClock(),
        version=__version__,
        rules=Rules(
            rate=settings.limits.rate,
            max_queued=settings.limits.max_queued,
            default_timeout=settings.deadlines.timeout,
            max_timeout=settings.deadlines.timeout_max,
            default_queue_timeout=settings.deadlines.queue_timeout,
            body_bytes=settings.limits.body_bytes,
        ),
        pings={"store": store.ping, "docker": engine.ping},
        admission=admission,
        stopping=stopping,
    )


def _webhook(settings: Settings, store: Store, intake: Intake) -> WebhookEndpoint | None:
    """A webhook secret alone is a valid setting: then deliveries are stored, and what they ask for waits."""
    if not settings.github.webhook_secrets:
        return None
    grammar = Grammar(
        frozenset(settings.profiles),
        settings.github.label_prefix,
        architecture(platform.machine()),
    )
    return WebhookEndpoint(
        Signatures(settings.github.webhook_secrets), grammar, store.inbox, SystemClock(), awaken=intake.awaken
    )


async def _registrar(settings: Settings, stack: AsyncExitStack) -> Registrar | None:
    """The way to GitHub, if there are credentials. Its library is large, and loaded only then."""
    github = settings.github
    if github.app_id is None or github.private_key is None:
        return None
    from chaser.github.client import AppClient, AppCredentials  # noqa: PLC0415
    from chaser.github.registrar import AppRegistrar  # noqa: PLC0415

    credentials = AppCredentials(github.app_id, github.private_key)
    client = await stack.enter_async_context(AppClient(credentials, SystemClock(), api_url=github.api_url))
    return AppRegistrar(client)


async def _first_key(settings: Settings, store: Store) -> None:
    """At the first start: one key with all scopes, in a file that only its owner can read."""
    if await store.keys.list():
        return
    secret, now = keys.generate(), SystemClock().now()
    settings.first_key_file.touch(mode=0o600)
    settings.first_key_file.write_text(secret.text + "\n")
    await store.keys.add(
        keys.ApiKey(KeyId(new_id("key", now)), "first", secret.public, secret.digest, keys.ALL_SCOPES, now)
    )
    _log.info("Made the first API key.", action="first_key", path=str(settings.first_key_file))
