"""The long answer of POST /v1/exec behind a real nginx that cuts idle connections."""

import asyncio
import json
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from chaser.api.context import Rules
from chaser.jobs.reason import Reason
from tests.api_service import Service, bearer, service

CONFIG = """\
daemon off;
user root;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  server {{
    listen unix:{directory}/nginx.sock;
    location / {{
      proxy_pass {upstream};
      proxy_http_version 1.1;
      proxy_read_timeout {idle};
    }}
  }}
}}
"""


@asynccontextmanager
async def behind_nginx(made: Service, idle: str) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of the service through an nginx that allows a connection to be idle for `idle`."""
    with tempfile.TemporaryDirectory(prefix="ngx") as name:
        directory = Path(name)
        config = directory / "nginx.conf"
        config.write_text(CONFIG.format(directory=directory, upstream=made.url, idle=idle))
        process = await asyncio.create_subprocess_exec(
            "nginx", "-e", "stderr", "-c", str(config), stderr=asyncio.subprocess.PIPE
        )
        assert process.stderr is not None
        try:
            async for line in process.stderr:
                if b"start worker process " in line:
                    break
            transport = httpx.AsyncHTTPTransport(uds=str(directory / "nginx.sock"))
            async with httpx.AsyncClient(
                transport=transport, base_url="http://nginx", headers=bearer(made.key), timeout=60
            ) as http:
                yield http
        finally:
            process.terminate()
            await process.communicate()


async def _through(made: Service, http: httpx.AsyncClient, spaces: int) -> tuple[dict[str, object], float]:
    """Run until so many spaces have come; the answer, and how long that took."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with http.stream("POST", "/v1/exec", json={"command": "sleep 25"}) as answer:
        claim = await made.hands.start()
        assert answer.status_code == 200
        pieces = answer.aiter_bytes()
        for _ in range(spaces):
            assert await anext(pieces) == b" "
        await made.hands.end(claim)
        return json.loads(b"".join([piece async for piece in pieces])), loop.time() - begun


async def test_spaces_keep_a_connection_that_nginx_would_cut(tmp_path: Path) -> None:
    """Eight spaces at 300 ms take longer than the 1 s that nginx allows."""
    rules = Rules(answer_after=timedelta(milliseconds=500), beat=timedelta(milliseconds=300))
    async with service(tmp_path, rules=rules) as made, behind_nginx(made, "1s") as http:
        answer, took = await _through(made, http, spaces=8)
        assert answer["status"] == "succeeded"
        assert took > 1


async def test_without_spaces_nginx_cuts_it(tmp_path: Path) -> None:
    """The counter-check; and to the service, the proxy's leaving is the client's."""
    rules = Rules(answer_after=timedelta(minutes=5))
    async with service(tmp_path, rules=rules) as made, behind_nginx(made, "1s") as http:
        call = asyncio.create_task(http.post("/v1/exec", json={"command": "sleep 25"}))
        claim = await made.hands.start()
        assert (await call).status_code == 504
        assert await made.hands.stopped.get() == (claim.job.id, Reason.CLIENT_GONE)


@pytest.mark.slow
async def test_the_shipped_settings_survive_an_idle_limit_of_10_seconds(tmp_path: Path) -> None:
    """At 8, 13, 18 and 23 s; a run of more than twice the limit."""
    async with service(tmp_path) as made, behind_nginx(made, "10s") as http:
        answer, took = await _through(made, http, spaces=4)
        assert answer["status"] == "succeeded"
        assert took > 20


async def test_what_is_known_soon_keeps_its_status_behind_nginx(tmp_path: Path) -> None:
    async with service(tmp_path) as made, behind_nginx(made, "10s") as http:
        assert (await http.post("/v1/exec", json={"command": ""})).status_code == 422
        assert (await http.post("/v1/exec", content=b"x" * (1 << 21))).status_code == 413
