"""The least that could take a job, or a delivery of GitHub's: one Starlette route, and one durable INSERT by a single writer
thread: `python -m bench.bare FILE PORT`."""

import asyncio
import hashlib
import hmac
import json
import sqlite3
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from bench.service import await_port, free_port

SECRET = "It's a Secret to Everybody"
"""Of its webhook."""


def application(file: str) -> Starlette:
    database = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE jobs (id TEXT PRIMARY KEY, input TEXT NOT NULL)")
    writer = ThreadPoolExecutor(1)

    async def accept(request: Request) -> JSONResponse:
        job = str(uuid.uuid4())
        row = (job, json.dumps(await request.json()))
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(writer, database.execute, "INSERT INTO jobs VALUES (?, ?)", row)
        return JSONResponse({"id": job}, status_code=201)

    async def deliver(request: Request) -> JSONResponse:
        body = await request.body()
        expected = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, request.headers["X-Hub-Signature-256"]):
            return JSONResponse({}, 401)
        row = (request.headers["X-GitHub-Delivery"], json.dumps(json.loads(body)["workflow_job"]["id"]))
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(writer, database.execute, "INSERT INTO jobs VALUES (?, ?)", row)
        return JSONResponse({}, 202)

    routes = [
        Route("/v1/jobs", accept, methods=["POST"]),
        Route("/webhooks/github", deliver, methods=["POST"]),
    ]
    return Starlette(routes=routes)


@contextmanager
def serving() -> Generator[int]:
    """Yields its port."""
    with tempfile.TemporaryDirectory(prefix="chaser-bench-") as folder:
        port = free_port()
        command = [sys.executable, "-m", "bench.bare", str(Path(folder, "bare.db")), str(port)]
        process = subprocess.Popen(command)
        try:
            await_port(port, process)
            yield port
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    _, path, port = sys.argv
    config = uvicorn.Config(
        application(path),
        port=int(port),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
    )
    asyncio.run(uvicorn.Server(config).serve())
