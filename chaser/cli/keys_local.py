"""Carrying out `chaser keys` on the local store."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import typer

from chaser import app, keys
from chaser.cli import output
from chaser.cli.durations import milliseconds
from chaser.cli.failure import Failure
from chaser.cli.service import local_settings
from chaser.clock import SystemClock
from chaser.ids import KeyId, new_id
from chaser.keys import ALL_SCOPES, ApiKey, KeyStore, Scope

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wanted:
    name: str
    scopes: frozenset[Scope]
    profiles: frozenset[str] | None
    max_running: int | None
    own_jobs: bool
    workspace_prefix: str | None
    expires_in: str | None


def chosen(scopes: Sequence[str], *, full: bool) -> frozenset[Scope]:
    if full == bool(scopes):
        raise typer.BadParameter("give either --scope, once or more, or --full")
    unknown = sorted(set(scopes) - {scope.value for scope in Scope})
    if unknown:
        raise typer.BadParameter(f"no such scope: {', '.join(unknown)}; there are: {', '.join(Scope)}")
    return ALL_SCOPES if full else frozenset(Scope(scope) for scope in scopes)


def create(wanted: Wanted, *, json: bool) -> None:
    now = SystemClock().now()
    secret = keys.generate()
    key = _made(wanted, secret, now)
    asyncio.run(_with_store(lambda store: store.add(key)))
    if json:
        scopes = sorted(scope.value for scope in key.scopes)
        output.document(
            {"id": key.id, "name": key.name, "key": secret.text, "scopes": scopes, "created_at": _moment(now)}
        )
        return
    output.line(secret.text)
    output.note(f"Made {key.id} ({key.name}). It is shown this once; keep it where it is needed.")


def list_(*, json: bool) -> None:
    found = asyncio.run(_with_store(lambda store: store.list()))
    if json:
        output.document({"data": [_document(key) for key in found], "next_cursor": None})
        return
    columns = ("id", "name", "begins with", "scopes", "made", "state")
    output.table(columns, [_row(key) for key in found])


def revoke(key_id: str, *, json: bool) -> None:
    now = SystemClock().now()
    key = asyncio.run(_with_store(lambda store: store.revoke(KeyId(key_id), now)))
    if key is None:
        raise Failure(
            "key_not_found", f"There is no key {key_id}; `chaser keys list` names them.", exit_status=1
        )
    if json:
        output.document(_document(key))
    else:
        output.note(f"Revoked {key.id} ({key.name}).")


async def _with_store(work: Callable[[KeyStore], Awaitable[T]]) -> T:
    async with app.open_keys(local_settings()) as store:
        return await work(store)


def _made(wanted: Wanted, secret: keys.KeySecret, now: datetime) -> ApiKey:
    lasting = milliseconds(wanted.expires_in)
    return ApiKey(
        id=KeyId(new_id("key", now)),
        name=wanted.name,
        public=secret.public,
        digest=secret.digest,
        scopes=wanted.scopes,
        created_at=now,
        profiles=wanted.profiles,
        max_running=wanted.max_running,
        own_jobs=wanted.own_jobs,
        workspace_prefix=wanted.workspace_prefix,
        expires_at=None if lasting is None else now + timedelta(milliseconds=lasting),
    )


def _row(key: ApiKey) -> Sequence[str]:
    scopes = "all" if key.scopes == ALL_SCOPES else " ".join(sorted(key.scopes))
    state = "revoked" if key.revoked_at else "valid" if key.valid_at(SystemClock().now()) else "expired"
    return (key.id, key.name, f"sk_{key.public}…", scopes, _moment(key.created_at) or "", state)


def _document(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "public": key.public,
        "scopes": sorted(scope.value for scope in key.scopes),
        "profiles": None if key.profiles is None else sorted(key.profiles),
        "max_running": key.max_running,
        "own_jobs": key.own_jobs,
        "workspace_prefix": key.workspace_prefix,
        "created_at": _moment(key.created_at),
        "expires_at": _moment(key.expires_at),
        "revoked_at": _moment(key.revoked_at),
    }


def _moment(at: datetime | None) -> str | None:
    return (
        None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
