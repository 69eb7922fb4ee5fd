"""Jobs as they are asked for: read, by their kind, and held against the configuration."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn, cast

from pydantic import BaseModel

from chaser.api.body import Body
from chaser.api.context import Api
from chaser.api.faults import invalid
from chaser.api.schemas.job_request import JobRequest, request_for
from chaser.errors import FieldFault, Rejected
from chaser.jobs.kind import Admitted, AnyKind

_FAR = timedelta(days=366)
"""How far ahead a job may be scheduled."""


@dataclass(frozen=True, slots=True)
class Order:
    kind: AnyKind
    request: JobRequest
    body: Body
    """As it was sent."""
    at: str = ""
    """Where it stands in the body of the call: a JSON pointer."""


def context(api: Api) -> Mapping[str, object]:
    """The settings that bound a request's fields."""
    millisecond = timedelta(milliseconds=1)
    return {
        "timeout_ms": api.rules.max_timeout // millisecond,
        "queue_timeout_ms": api.rules.max_queue_timeout // millisecond,
        "profiles": frozenset(api.profiles),
        "run_at": api.clock.now() + _FAR,
    }


def read_order(api: Api, body: Body) -> Order:
    """Raises `Rejected` with every fault at once."""
    named = _kind_named(body.document)
    kind = api.kinds.get(named) if isinstance(named, str) else None
    if kind is None:
        _refuse_unknown(api, body, named)
    if not kind.open:
        message = f"Jobs of the kind {kind.name} are made by the service itself; read, follow or cancel them."
        raise Rejected(403, "kind_not_allowed", message)
    return Order(kind, body.parse(request_for(kind.name, kind.input), context(api)), body)


def read_orders(api: Api, documents: list[object], at: str) -> list[Order]:
    """Each of a list that stands at `at`. Raises `Rejected` with the faults of all of them."""
    orders, faults = list[Order](), list[FieldFault]()
    for number, document in enumerate(documents):
        here = f"{at}/{number}"
        raw = json.dumps(document).encode()
        if len(raw) > api.rules.body_bytes:
            faults.append(FieldFault(here, f"is larger than the {api.rules.body_bytes} bytes of one job"))
            continue
        try:
            order = read_order(api, Body(raw, document))
        except Rejected as error:
            faults.extend(_faults_below(here, error))
        else:
            orders.append(Order(order.kind, order.request, order.body, here))
    if faults:
        raise invalid(faults)
    return orders


def admit(api: Api, kind: AnyKind, asked: BaseModel, at: str) -> Admitted:
    """`at` is where the kind's input stands in the body of the call."""
    try:
        return kind.admit(asked, api.rules.bounds)
    except Rejected as error:
        raise below(at, error) from None


def admit_orders(api: Api, orders: list[Order]) -> list[Admitted]:
    """Raises `Rejected` with the faults of all of them."""
    admitted, faults = list[Admitted](), list[FieldFault]()
    for order in orders:
        where = f"{order.at}/input"
        try:
            admitted.append(order.kind.admit(order.request.input, api.rules.bounds))
        except Rejected as error:
            faults.extend(_faults_below(where, error))
    if faults:
        raise invalid(faults)
    return admitted


def below(at: str, error: Rejected) -> Rejected:
    """The same of a part of the body: what points into the part points into the whole."""
    details = dict(error.details)
    if isinstance(pointers := details.get("not_supported"), list):
        details["not_supported"] = [f"{at}{pointer}" for pointer in cast("list[str]", pointers)]
    return Rejected(
        error.status,
        error.code,
        error.message,
        fields=tuple(FieldFault(at + fault.pointer, fault.reason) for fault in error.fields),
        details=details,
        retry_after=error.retry_after,
    )


def _faults_below(at: str, error: Rejected) -> tuple[FieldFault, ...]:
    """The faults of one of several jobs. What is no fault of a field is raised: it decides the whole call."""
    placed = below(at, error)
    if not placed.fields:
        raise Rejected(
            placed.status, placed.code, f"{at}: {placed.message}", details={**placed.details, "at": at}
        ) from None
    return placed.fields


def _kind_named(document: object) -> object:
    return cast("dict[str, object]", document).get("kind") if isinstance(document, dict) else None


def _refuse_unknown(api: Api, body: Body, named: object) -> NoReturn:
    faults: list[FieldFault] = []
    try:
        body.parse(JobRequest, context(api))
    except Rejected as error:
        if not error.fields:
            raise
        faults = list(error.fields)
    if isinstance(named, str):
        known = ", ".join(sorted(name for name, kind in api.kinds.items() if kind.open))
        faults.append(FieldFault("/kind", f"there is no such kind; there are: {known}"))
    raise invalid(faults)
