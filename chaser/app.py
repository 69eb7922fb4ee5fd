"""The composition root: settings → adapters → core → routes. What is put together from them is in `chaser.assembly`."""

import asyncio
import gc
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from chaser import __version__, connecting, doctor, keys, log
from chaser.api.context import Api
from chaser.api.middleware import RequestIdentity
from chaser.api.problems import exception_handlers
from chaser.api.routes import routes
from chaser.assembly import assemble
from chaser.clock import SystemClock
from chaser.config import Settings
from chaser.findings import Finding
from chaser.grounds import Parts
from chaser.ids import KeyId, new_id
from chaser.runners.app import App
from chaser.sandboxes.engines.docker import DockerEngine
from chaser.sandboxes.engines.pulls import Pulls
from chaser.seat import Seat, take_seat
from chaser.service import GRACE, Server, run
from chaser.setup.endpoint import SetupEndpoint
from chaser.store.key_file import keys_from_file, keys_from_text
from chaser.store.store import Store, open_store
from chaser.webhooks.endpoint import WebhookEndpoint
from chaser.webhooks.signature import ChangingSignatures

_log = structlog.stdlib.get_logger("chaser")


def serve(settings: Settings) -> int:
    """Run the service until it is told to stop; returns the exit status."""
    log.configure(settings.log_level)
    _log.info("Starting.", action="start", version=__version__, settings=settings.shown)
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    seat = take_seat(settings.data_dir)
    store = _open_store(settings)
    return asyncio.run(_serve(settings, store, seat))


@asynccontextmanager
async def open_keys(settings: Settings) -> AsyncGenerator[keys.KeyStore]:
    """The keys of the local store, for a program that needs no key of its own."""
    async with _opened(settings) as store:
        yield store.keys


async def setup_link(settings: Settings) -> str:
    """A link that opens the setup page of the service, once and for an hour."""
    async with _opened(settings) as store:
        return await connecting.new_link(settings, store)


async def inspect_github(settings: Settings) -> Sequence[Finding]:
    """Every check of the way to GitHub, each with its mend."""
    async with _opened(settings) as store:
        return await connecting.inspect(settings, store)


async def turn_webhook_secret(settings: Settings) -> App:
    """Give the App's webhook a new secret, while the service runs on. Raises `Refused` and `Unavailable`."""
    async with _opened(settings) as store:
        return await connecting.turn_secret(settings, store)


async def inspect_installation(settings: Settings) -> Sequence[Finding]:
    """Every check of the installation, each with its mend."""
    return await doctor.inspect_installation(settings)


async def images_present(settings: Settings, references: Sequence[str]) -> frozenset[str]:
    """Which of these images the engine has."""
    return await doctor.images_present(settings, references)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncGenerator[Store]:
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = _open_store(settings)
    try:
        yield store
    finally:
        await store.close()


def _open_store(settings: Settings) -> Store:
    if settings.secret_keys is None:
        sealing = keys_from_file(settings.secret_key_file)
    else:
        text = ",".join(key.reveal() for key in settings.secret_keys)
        sealing = keys_from_text(text, "secret_keys")
    return open_store(settings.database.reveal(), sealing, SystemClock())


async def _serve(settings: Settings, store: Store, seat: Seat) -> int:
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        signatures = ChangingSignatures()
        access = connecting.make_access(settings, store, signatures.trust)
        stack.push_async_callback(access.close)
        await access.refresh()
        engine = DockerEngine(settings.docker_host, store.instance_id)
        stack.push_async_callback(engine.close)
        pulls = Pulls(engine.host)
        stack.push_async_callback(pulls.close)
        service, api, webhook = assemble(Parts(settings, store, engine, pulls, access, signatures, seat.id))
        await _first_key(settings, store)
        config = uvicorn.Config(
            application(api, webhook, connecting.make_setup(settings, store, access)),
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
        _keep_what_is_loaded()
        return await run(service, Server(config, service.stopping))


def _keep_what_is_loaded() -> None:
    """What is there when all is wired stays for good. Else the garbage collector goes through all of it again and again,
    and every request waits for that."""
    gc.collect()
    gc.freeze()


def application(api: Api, webhook: WebhookEndpoint | None, setup: SetupEndpoint | None = None) -> Starlette:
    """The routes of a wired service."""
    paths: list[BaseRoute] = [*routes(api)]
    if webhook is not None:
        paths.append(webhook.route())
    if setup is not None:
        paths.extend(setup.routes())
    service = Starlette(
        routes=paths,
        middleware=[Middleware(RequestIdentity, clock=api.clock)],
        exception_handlers=dict(exception_handlers()),
    )
    service.router.redirect_slashes = (
        False  # a path with one more slash is another path: 404, and no redirect of a POST
    )
    return service


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
