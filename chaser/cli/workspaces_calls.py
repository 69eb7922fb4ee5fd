"""Carrying out `chaser workspaces`, but for what moves files."""

import os
from urllib.parse import quote

from chaser.cli import document, jobs_show, output
from chaser.cli.durations import milliseconds
from chaser.cli.exec_request import said
from chaser.cli.http import call, client
from chaser.cli.refusal import refusal
from chaser.cli.service import find_service


def workspace_path(workspace: str) -> str:
    return f"/v1/workspaces/{quote(workspace, safe='')}"


def list_(limit: int, cursor: str | None, *, json: bool) -> None:
    query = {"limit": str(limit), **({"cursor": cursor} if cursor else {})}
    page = call(find_service(os.environ), "GET", "/v1/workspaces", query)
    if json:
        output.document(page)
        return
    columns = ("name", "id", "size_bytes", "last_used_at", "busy_with")
    jobs_show.rows(columns, [document.table(each) for each in document.items(page.get("data"))])
    if page.get("next_cursor"):
        output.note(f"There are more: --cursor {page['next_cursor']}")


def create(
    name: str, image: str | None, clone_from: str | None, ttl: str | None, quota: str | None, *, json: bool
) -> None:
    body = {
        "name": name,
        "image": image,
        "clone_from": clone_from,
        "ttl_ms": milliseconds(ttl),
        "quota": quota,
    }
    jobs_show.one(call(find_service(os.environ), "POST", "/v1/workspaces", body=said(body)), json=json)


def get(workspace: str, *, json: bool) -> None:
    jobs_show.one(call(find_service(os.environ), "GET", workspace_path(workspace)), json=json)


def delete(workspace: str, *, force: bool, json: bool) -> None:
    _delete(workspace_path(workspace), {"force": "true"} if force else {}, workspace, json=json)


def snapshot(workspace: str, name: str | None, *, json: bool) -> None:
    path = f"{workspace_path(workspace)}/snapshots"
    made = call(find_service(os.environ), "POST", path, body=said({"name": name}))
    jobs_show.one(made, json=json)


def snapshots(workspace: str, *, json: bool) -> None:
    page = call(find_service(os.environ), "GET", f"{workspace_path(workspace)}/snapshots")
    if json:
        output.document(page)
        return
    columns = ("id", "name", "created_at", "size_bytes")
    jobs_show.rows(columns, [document.table(each) for each in document.items(page.get("data"))])


def restore(workspace: str, snapshot: str, *, json: bool) -> None:
    path = f"{_snapshot_path(workspace, snapshot)}/restore"
    jobs_show.one(call(find_service(os.environ), "POST", path), json=json)


def forget(workspace: str, snapshot: str, *, json: bool) -> None:
    _delete(_snapshot_path(workspace, snapshot), {}, snapshot, json=json)


def _snapshot_path(workspace: str, snapshot: str) -> str:
    return f"{workspace_path(workspace)}/snapshots/{quote(snapshot, safe='')}"


def _delete(path: str, query: dict[str, str], name: str, *, json: bool) -> None:
    """What is deleted may be answered as it was, or not at all."""
    with client(find_service(os.environ)) as made:
        response = made.delete(path, params=query)
    if not response.is_success:
        raise refusal(response.status_code, response.content)
    if json:
        output.document(document.parse(response.content) or {"deleted": name})
        return
    output.note(f"Deleted {output.printable(name)}.")
