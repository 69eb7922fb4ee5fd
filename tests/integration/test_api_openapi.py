"""The description of the API, held against what is served."""

# schemathesis leaves its own generics open:
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeArgument=false

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from starlette.routing import Route

from chaser.api.context import Rules
from tests.api_service import Service, played, service

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncGenerator[Service]:
    # a stream of all events ends soon, so that generated calls of it do too
    async with service(tmp_path, rules=Rules(longest_feed=timedelta(milliseconds=10))) as made:
        yield made


async def test_the_document_lists_what_is_served_and_nothing_else(running: Service) -> None:
    document = (await running.http.get("/openapi.json")).json()
    described = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    served = {
        (route.path.replace(":path}", "}"), method)
        for route in running.app.routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert described == served


async def test_the_document_tells_the_settings_bounds(running: Service) -> None:
    document = (await running.http.get("/openapi.json")).json()
    fields = document["components"]["schemas"]["ExecRequest"]["properties"]
    assert fields["timeout_ms"]["anyOf"][0]["maximum"] == 21_600_000
    assert document["components"]["schemas"]["ExecRequest"]["required"] == ["command"]
    assert document["components"]["schemas"]["ExecRequest"]["additionalProperties"] is False


async def test_every_reference_of_the_document_leads_somewhere(running: Service) -> None:
    answer = await running.http.get("/openapi.json")
    schemas = answer.json()["components"]["schemas"]
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', answer.text))
    assert named == set(schemas)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids.add(found.get("id") or "")
        if tag == "a":
            self.links.append(found.get("href") or "")
        if tag in {"script", "link", "img", "iframe"}:
            self.loaded.append(tag)


async def test_the_page_stands_alone_and_all_its_links_lead_somewhere(running: Service) -> None:
    answer = await running.http.get("/docs")
    page = _Page()
    page.feed(answer.text)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.loaded == []
    assert [link for link in page.links if link.startswith("#") and link[1:] not in page.ids] == []
    assert {"exec", "getJob", "type-ExecRequest"} <= page.ids


@pytest.mark.timeout(300)
async def test_generated_calls_are_answered_as_described(running: Service) -> None:
    """For each operation: never a server error, and status, headers, media type and shape as the document says."""
    document = (await running.http.get("/openapi.json")).json()
    async with played(running.work):
        job = (await running.http.post("/v1/exec", json={"command": "true"})).json()
        key = (await running.http.post("/v1/keys", json={"name": "n", "full": True})).json()
        await running.http.post("/v1/workspaces", json={"name": "main"})
        await running.http.put("/v1/workspaces/main/files/sub/file", content=b"x")
        snapshot = (await running.http.post("/v1/workspaces/main/snapshots", json={})).json()
        known = {
            "/v1/jobs/{id}": {"id": job["id"]},
            "/v1/keys/{id}": {"id": key["id"]},
            "/v1/workspaces/{workspace}/files": {"workspace": "main", "path": "sub/file"},
            "/v1/workspaces/{workspace}/snapshots": {"workspace": "main", "snapshot": snapshot["id"]},
        }
        await asyncio.to_thread(_hold_to, document, running, known)


def _hold_to(document: dict[str, object], made: Service, known: Mapping[str, Mapping[str, str]]) -> None:
    for found in schemathesis.openapi.from_dict(document).get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        one = next((names for path, names in known.items() if operation.path.startswith(path)), {})
        of_path = {name: value for name, value in one.items() if f"{{{name}}}" in operation.path}
        _hold(operation.as_strategy(path_parameters=of_path or None), made)


def _hold(cases: SearchStrategy[schemathesis.Case], made: Service) -> None:
    @settings(
        max_examples=20,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
    )
    @given(case=cases)
    def hold(case: schemathesis.Case) -> None:
        case.call_and_validate(
            base_url=made.url, headers={"Authorization": f"Bearer {made.key}"}, checks=list(CHECKS)
        )

    hold()
