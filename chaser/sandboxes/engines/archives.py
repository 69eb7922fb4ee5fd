"""What is in a container as a tar, out and in (https://docs.docker.com/reference/api/engine/, ContainerArchive).

Both ways the bytes only pass through. The engine packs and unpacks with the container as its root, so that no link in a
tar, or in the container, leads out of it; a container that was never started will do.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterable

import httpx

from chaser.errors import Refused, Unavailable
from chaser.jobs.reason import Reason
from chaser.sandboxes.engine import ContainerId
from chaser.sandboxes.engines.calls import unavailable
from chaser.sandboxes.engines.http import ANSWER_DEADLINE, engine_client

PIECE = 1 << 16
MOST_WORDS = 300
_SLOW = httpx.Timeout(ANSWER_DEADLINE, pool=None)
"""No deadline for the whole: how long a large tree may take, its caller knows. But a side that stands still is lost."""


class Archives:
    """One engine's archives. `host` is `unix://…` or `tcp://…`."""

    def __init__(self, host: str) -> None:
        self._engine = engine_client(host)

    async def close(self) -> None:
        await self._engine.aclose()

    async def get(self, container: ContainerId, path: str) -> AsyncGenerator[bytes]:
        request = self._engine.build_request(
            "GET",
            _url(container),
            params={"path": path},
            # Compressing would cost the engine's cores, and its machine is mostly this one.
            headers={"Accept-Encoding": "identity"},
            timeout=_SLOW,
        )
        try:
            response = await self._engine.send(request, stream=True)
            try:
                if response.status_code == 404:
                    return
                if response.is_error:
                    words = _message(await response.aread())
                    raise Unavailable(Reason.ENGINE_UNAVAILABLE, f"The engine could not copy files: {words}")
                async for piece in response.aiter_raw(PIECE):
                    yield piece
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise unavailable(error) from error

    async def put(self, container: ContainerId, path: str, tar: AsyncIterable[bytes]) -> bool:
        request = self._engine.build_request(
            "PUT",
            _url(container),
            # A directory must not take a file's place, nor a file a directory's.
            params={"path": path, "noOverwriteDirNonDir": "1"},
            headers={"Content-Type": "application/x-tar"},
            content=tar,
            timeout=_SLOW,
        )
        try:
            response = await self._engine.send(request, stream=True)
            try:
                if response.status_code == 404:
                    return False
                if response.is_error:
                    # 4xx for a place that cannot be written to, 500 for whatever unpacking comes upon: it has answered.
                    words = _message(await response.aread())
                    raise Refused(Reason.INPUT_UNUSABLE, f"The engine does not take this: {words}")
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise unavailable(error) from error
        return True


def _url(container: ContainerId) -> str:
    return f"/containers/{container}/archive"


def _message(body: bytes) -> str:
    try:
        words = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return "it gives no cause."
    return "".join(each if each.isprintable() else " " for each in words)[:MOST_WORDS]
