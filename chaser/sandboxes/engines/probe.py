"""One question to a registry itself, for the faults that the engine answers with 500 alike."""

import asyncio
from ipaddress import ip_address

import httpx

from chaser.errors import Refused, Unavailable
from chaser.jobs.reason import Reason
from chaser.sandboxes.engines.verdict import Failure, of_status, unexplained
from chaser.sandboxes.reference import HUB

DEADLINE = 10.0
"""Seconds for all of it."""

_HUB_API = "registry-1.docker.io"
_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)


async def ask(failure: Failure) -> Refused | Unavailable:
    """Why a pull failed, from one `HEAD` of the manifest (https://distribution.github.io/distribution/spec/api/).

    The host is one that the engine has just asked for the same. No login is sent, no redirect and no challenge
    followed, no body read: a hostile registry learns and reaches nothing by it.
    """
    try:
        async with asyncio.timeout(DEADLINE):
            response = await _head(failure)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        host = failure.reference.registry
        silent = Unavailable(Reason.REGISTRY_UNAVAILABLE, _SILENT.format(host, failure.words), retry_after=30)
        silent.__cause__ = error
        return silent
    match response.status_code:
        case 401:
            # Only a Basic challenge says that a login is missing; a Bearer one comes before an anonymous token, too.
            basic = response.headers.get("www-authenticate", "").lower().startswith("basic")
            return of_status(failure, 401) if basic and not failure.logged_in else unexplained(failure)
        case 403 | 404 | 429 as told:
            return of_status(failure, told)
        case _:
            return unexplained(failure)


async def _head(failure: Failure) -> httpx.Response:
    """By HTTPS; a loopback registry, as the engine does it, also by plain HTTP."""
    reference = failure.reference
    host = _HUB_API if reference.registry == HUB else reference.registry
    path = f"{host}/v2/{reference.path}/manifests/{reference.selector}"
    loopback = _is_loopback(host)
    async with httpx.AsyncClient(trust_env=not loopback, headers={"Accept": _MANIFESTS}) as client:
        try:
            return await client.head(f"https://{path}")
        except httpx.ConnectError:
            if not loopback:
                raise
            return await client.head(f"http://{path}")


def _is_loopback(host: str) -> bool:
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


_SILENT = "The registry {} does not answer; check that it runs and can be reached from the engine. {}"
