"""Handing files over: a folder as a tar, made as it is sent."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from chaser.cli import document
from chaser.cli.failure import Failure
from chaser.cli.link import Link, link
from chaser.cli.service import Service
from chaser.cli.tarball import Tarball
from chaser.cli.transfers import Transfers

TAR = "application/x-tar"


def fields(service: Service, transfers: Transfers) -> dict[str, object]:
    """A request's `inputs` and `artifacts`; the inputs are uploaded first. Raises `Failure`."""
    inputs = asyncio.run(_send_all(service, transfers)) if transfers.in_ else None
    named = {"inputs": inputs, "artifacts": transfers.out}
    return {name: value for name, value in named.items() if value}


async def _send_all(service: Service, transfers: Transfers) -> list[Mapping[str, str]]:
    async with link(service) as reached:
        sent = [
            await send(reached, "POST", "/v1/uploads", each, whole=transfers.in_all)
            for each in transfers.in_ or ()
        ]
    return [{"upload": str(upload.get("id")), "path": transfers.in_path} for upload in sent]


async def send(reached: Link, method: str, path: str, source: Path, *, whole: bool) -> dict[str, object]:
    """What the service answers to the folder's files; sent anew if it goes away meanwhile. Raises `Failure`."""

    async def attempt() -> dict[str, object]:
        tarball = Tarball(source, whole=whole)
        headers = {"Content-Type": TAR}
        async with reached.stream(method, path, content=_as_they_come(tarball), headers=headers) as response:
            answer = document.parse(await response.aread())
        tarball.tell()
        return answer

    try:
        return await reached.persist(attempt)
    except OSError as error:
        message = f"{error.filename or source} cannot be read: {error.strerror}."
        raise Failure("unreadable", message, 1) from error


async def _as_they_come(tarball: Tarball) -> AsyncIterator[bytes]:
    for piece in tarball:
        yield piece
