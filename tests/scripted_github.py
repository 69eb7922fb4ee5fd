"""A GitHub of a few set answers, for what the simulated one is not asked. Its bodies are held against githubkit's models."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import jwt
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from chaser.clock import Clock, SystemClock
from chaser.github.client import AppClient
from chaser.runners.app import Credentials
from chaser.secret import Secret
from chaser.simulator.serving import serving
from tests.simulated import APP_ID, app_keys

TOKEN = {"token": "ghs_scripted", "expires_at": "2030-01-01T00:00:00Z"}


@dataclass
class Told:
    """One answer."""

    status: int
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass
class Call:
    line: str
    query: Mapping[str, str]
    body: bytes
    authorization: str


@dataclass
class ScriptedGitHub:
    """`answers` has for each `METHOD /path` what its calls get, one after the other; the last stays. Else 404."""

    answers: dict[str, list[Told]] = field(default_factory=dict[str, list[Told]])
    calls: list[Call] = field(default_factory=list[Call])
    url: str = ""

    def tell(self, line: str, body: object = None, status: int = 200, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.setdefault(line, []).append(Told(status, body, named))

    def install(self, number: int, permissions: Mapping[str, str]) -> None:
        """Let there be an installation with these permissions."""
        body = {**TOKEN, "permissions": dict(permissions)}
        self.tell(f"POST /app/installations/{number}/access_tokens", body, 201)

    def count(self, line: str) -> int:
        return sum(call.line == line for call in self.calls)

    def client(self, clock: Clock | None = None) -> AppClient:
        credentials = Credentials(str(APP_ID), Secret(app_keys().private))
        return AppClient(credentials, clock or SystemClock(), api_url=self.url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        line = f"{scope['method']} {scope['path']}"
        authorization = request.headers.get("authorization", "")
        self.calls.append(Call(line, dict(request.query_params), await request.body(), authorization))
        told = self._next(line)
        content = b"" if told.body is None else json.dumps(told.body).encode()
        await Response(content, told.status, dict(told.headers), "application/json")(scope, receive, send)

    def _next(self, line: str) -> Told:
        answers = self.answers.get(line, [Told(404, {"message": "Not Found"})])
        return answers.pop(0) if len(answers) > 1 else answers[0]


def signed_by_the_app(authorization: str) -> bool:
    """Whether this is the App's own signature."""
    scheme, _, token = authorization.partition(" ")
    claims = jwt.decode(token, app_keys().public, algorithms=["RS256"])
    return scheme.lower() == "bearer" and claims["iss"] == str(APP_ID)


@asynccontextmanager
async def scripted_github() -> AsyncGenerator[ScriptedGitHub]:
    made = ScriptedGitHub()
    async with serving(made) as made.url:
        yield made
