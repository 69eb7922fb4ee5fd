"""What the kinds take, as JSON Schema (https://json-schema.org/draft/2020-12): with the bounds that are settings, which
the types learn only when they validate."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from chaser.api.context import Api, Rules
from chaser.api.schemas.job_request import JobRequest, request_for
from chaser.jobs.kind import AnyKind

Json = dict[str, Any]
_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def input_schema(kind: AnyKind, rules: Rules) -> Json:
    """A document of its own."""
    schema: Json = kind.input.model_json_schema()
    add_bounds([schema, *schema.get("$defs", {}).values()], rules)
    return {"$schema": _DRAFT, **schema}


def requests(api: Api) -> list[type[JobRequest]]:
    """What a client may post, one type for each kind."""
    return [request_for(name, kind.input) for name, kind in sorted(api.kinds.items()) if kind.open]


def one_of(api: Api, reference: str) -> Json:
    """Any of `requests`, told apart by `kind`; `reference` is where the types stand, with a place for `{model}`."""
    names = {
        name: reference.format(model=request_for(name, kind.input).__name__)
        for name, kind in sorted(api.kinds.items())
        if kind.open
    }
    return {
        "description": "A job of one of the kinds that GET /v1/jobs/kinds lists.",
        "oneOf": [{"$ref": where} for where in names.values()],
        "discriminator": {"propertyName": "kind", "mapping": names},
    }


def add_bounds(schemas: Iterable[Json], rules: Rules) -> None:
    """Write the settings into every field that they bound."""
    millisecond = timedelta(milliseconds=1)
    most = {
        "timeout_ms": rules.max_timeout // millisecond,
        "queue_timeout_ms": rules.max_queue_timeout // millisecond,
    }
    for schema in schemas:
        for name in most.keys() & schema.get("properties", {}).keys():
            for member in schema["properties"][name].get("anyOf", ()):
                if member.get("type") == "integer":
                    member["maximum"] = most[name]
