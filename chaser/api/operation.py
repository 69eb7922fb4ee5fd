"""One operation of the API as data: what serves it, and what the document says of it. They cannot differ."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from pydantic import BaseModel

from chaser.api.call import Guarded, Open
from chaser.keys import Scope

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Keyed:
    """Served to a key that has the scope."""

    scope: Scope
    act: Guarded


@dataclass(frozen=True, slots=True)
class Public:
    """Served to anyone."""

    act: Open


@dataclass(frozen=True, slots=True)
class Answer:
    """A success. `contents`: by media type, the model; none: text or bytes."""

    status: int
    description: str
    contents: Mapping[str, type[BaseModel] | None]
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Header:
    """A header of the request that means something to this operation."""

    name: str
    description: str
    example: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    method: str
    path: str
    name: str
    """The document's `operationId`."""
    tag: str
    summary: str
    serve: Keyed | Public
    answers: tuple[Answer, ...]
    description: str = ""
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    raw: tuple[str, ...] = ()
    """The media types of a body that is bytes, taken as they are."""
    headers: tuple[Header, ...] = ()
    refusals: Mapping[int, str] = field(default_factory=dict[int, str])
    """Errors of its own, beside those that follow from the rest."""

    def faults(self) -> Mapping[int, str]:
        """Every error that it may answer, by status."""
        statuses: dict[int, str] = {500: "`internal_error`: a defect of Chaser"}
        if isinstance(self.serve, Keyed):
            statuses[401] = "`unauthorized`: no valid API key"
            statuses[403] = f"`forbidden`: the key lacks {self.serve.scope.value}, or may not do this"
            statuses[429] = "`rate_limited`: the key has called too often"
            statuses[503] = "A part that this needs does not answer; the code says which"
        if self.body is not None:
            statuses[400] = "`malformed_json`"
        if self.body is not None or self.raw:
            statuses[408] = "`request_timeout`: the body did not arrive in time"
            statuses[413] = "`body_too_large`"
        if self.body is not None or self.query is not None:
            statuses[422] = "`invalid_request`: every fault at once in `details.fields`"
        return dict(sorted({**statuses, **self.refusals}.items()))


def answered(model: type[BaseModel], status: int = 200, description: str = "", **headers: str) -> Answer:
    """A success that is one JSON document."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, description or HTTPStatus(status).phrase, {JSON: model}, named)
