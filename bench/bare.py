"""The least that could take a job: one Starlette route, and one durable INSERT by a single writer thread:
`python -m bench.bare FILE PORT`."""

import asyncio
import json
import sqlite3
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


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

    return Starlette(routes=[Route("/v1/jobs", accept, methods=["POST"])])


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
