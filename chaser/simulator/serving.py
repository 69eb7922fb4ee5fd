"""Serving an application on a port of this machine, for as long as a block lasts."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp


@asynccontextmanager
async def serving(
    app: ASGIApp,
    host: str = "127.0.0.1",
    port: int = 0,
    ending: Callable[[], None] | None = None,
) -> AsyncGenerator[str]:
    """Yields the address. The socket listens before anything waits for it, so the first call needs no retry.

    `ending` is called before the end, to let go of calls that are kept waiting.
    """
    listening = socket.create_server((host, port))
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", lifespan="off", ws="none", timeout_graceful_shutdown=1)
    )
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://{host}:{listening.getsockname()[1]}"
    finally:
        if ending is not None:
            ending()
        server.should_exit = True
        await task
        listening.close()
