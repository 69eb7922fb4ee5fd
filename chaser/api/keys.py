"""/v1/keys: make, list, revoke."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import structlog
from starlette.responses import Response

from chaser import keys
from chaser.api.auth import forbid
from chaser.api.body import read_json, read_query
from chaser.api.call import Call, shown
from chaser.api.faults import invalid
from chaser.api.schemas.keys import KEY_ID, KeyAnswer, KeyPage, KeyQuery, KeyRequest, NewKeyAnswer
from chaser.errors import FieldFault, Rejected
from chaser.ids import KeyId, new_id
from chaser.keys import ALL_SCOPES, ApiKey
from chaser.sandboxes.workspaces import folded

_log = structlog.stdlib.get_logger("chaser.api")

_KEY_ID = re.compile(KEY_ID)


async def index(call: Call) -> Response:
    """Newest first."""
    query = read_query(call.request, KeyQuery)
    every = sorted(await call.api.keys.list(), key=lambda key: key.id, reverse=True)
    found = [key for key in every if query.cursor is None or key.id < query.cursor]
    return shown(_page(found, query.limit))


def _page(found: Sequence[ApiKey], limit: int) -> KeyPage:
    data = [_answer(key) for key in found[:limit]]
    return KeyPage(data=data, next_cursor=data[-1].id if len(found) > limit else None)


async def create(call: Call) -> Response:
    body = await read_json(call.request, call.api.rules)
    wanted = body.parse(KeyRequest)
    secret = keys.generate()
    now = call.api.clock.now()
    if wanted.expires_at is not None and wanted.expires_at <= now:
        raise invalid([FieldFault("/expires_at", "must lie in the future")])
    asked = ApiKey(
        id=KeyId(new_id("key", now)),
        name=wanted.name,
        public=secret.public,
        digest=secret.digest,
        scopes=ALL_SCOPES if wanted.full else frozenset(wanted.scopes or ()),
        created_at=now,
        profiles=None if wanted.profiles is None else frozenset(wanted.profiles),
        max_running=wanted.max_running,
        own_jobs=call.key.own_jobs if wanted.own_jobs is None else wanted.own_jobs,
        expires_at=wanted.expires_at,
        workspace_prefix=wanted.workspace_prefix,
    )
    key = _within(asked, call.key)
    await call.api.keys.add(key)
    _log.info("A key was made.", action="key_created", key_id=key.id, by=call.key.id)
    return shown(NewKeyAnswer(**_answer(key).model_dump(), key=secret.text), 201)


_Bound = TypeVar("_Bound")


def _within(asked: ApiKey, maker: ApiKey) -> ApiKey:
    """What was not said is as its maker has it. Raises `Rejected` where a key would be able to do more than its maker."""
    if asked.scopes - maker.scopes:
        names = ", ".join(sorted(asked.scopes - maker.scopes))
        forbid(f"A key cannot give what it does not have: {names}.")
    if maker.own_jobs and not asked.own_jobs:
        forbid("A key that sees only its own jobs cannot make one that sees all.")
    key = replace(
        asked,
        profiles=_or(asked.profiles, maker.profiles),
        max_running=_or(asked.max_running, maker.max_running),
        expires_at=_or(asked.expires_at, maker.expires_at),
        workspace_prefix=_or(asked.workspace_prefix, maker.workspace_prefix),
    )
    if maker.profiles is not None and not (key.profiles or frozenset()) <= maker.profiles:
        forbid(
            f"A key cannot give profiles that it may not use; it may use: {', '.join(sorted(maker.profiles))}."
        )
    if maker.max_running is not None and (key.max_running or 0) > maker.max_running:
        forbid(f"A key cannot give more runs at once than it has: {maker.max_running}.")
    if maker.expires_at is not None and key.expires_at is not None and key.expires_at > maker.expires_at:
        forbid("A key cannot make one that lives longer than itself.")
    if not folded(key.workspace_prefix or "").startswith(folded(maker.workspace_prefix or "")):
        forbid(f"A key cannot give more workspaces than those that begin with {maker.workspace_prefix!r}.")
    return key


def _or(asked: _Bound | None, makers: _Bound | None) -> _Bound | None:
    return makers if asked is None else asked


async def revoke(call: Call) -> Response:
    key_id = call.request.path_params["id"]
    known = _KEY_ID.fullmatch(key_id) is not None
    key = await call.api.keys.revoke(KeyId(key_id), call.api.clock.now()) if known else None
    if key is None:
        raise Rejected(404, "key_not_found", "There is no such key; GET /v1/keys lists them.")
    _log.info("A key was revoked.", action="key_revoked", key_id=key.id, by=call.key.id)
    return shown(_answer(key))


def _answer(key: ApiKey) -> KeyAnswer:
    return KeyAnswer(
        id=key.id,
        name=key.name,
        public=key.public,
        scopes=sorted(key.scopes),
        profiles=None if key.profiles is None else sorted(key.profiles),
        max_running=key.max_running,
        own_jobs=key.own_jobs,
        workspace_prefix=key.workspace_prefix,
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
    )
