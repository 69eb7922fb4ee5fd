"""The OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.1), made of the operations and the types that validate."""

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from chaser.api.context import Api
from chaser.api.kind_schemas import add_bounds, one_of, requests
from chaser.api.operation import JSON, Answer, Header, Keyed, Operation
from chaser.api.schemas.job_request import BatchRequest, JobRequest
from chaser.api.schemas.problem import ProblemAnswer

_REF = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")

Json = dict[str, Any]
_Refs = Mapping[tuple[Any, JsonSchemaMode], Json]


def document(operations: Sequence[Operation], api: Api) -> Json:
    refs, schemas = _schemas(operations, api)
    add_bounds(schemas.values(), api.rules)
    _name_the_kinds(schemas, api)
    paths: Json = {}
    for operation in operations:
        paths.setdefault(_PARAMETER.sub(r"{\1}", operation.path), {})[operation.method.lower()] = _operation(
            operation, refs, schemas
        )
    queries = {_name(refs[model, "validation"]) for model in _queries(operations)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Chaser",
            "version": api.version,
            "description": "Throwaway sandboxes over HTTP. docs/api.md explains what this page lists.",
        },
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in schemas.items() if name not in queries},
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key, `sk_…`."}
            },
        },
    }


def _schemas(operations: Sequence[Operation], api: Api) -> tuple[_Refs, Json]:
    taken = [*(model for operation in operations if (model := operation.body)), *requests(api)]
    given = [
        model
        for operation in operations
        for answer in operation.answers
        for model in answer.contents.values()
        if model
    ]
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (ProblemAnswer, "validation"),
        *((model, "validation") for model in (*taken, *_queries(operations))),
        *((model, "serialization") for model in given),
    ]
    refs, root = models_json_schema(list(dict.fromkeys(wanted)), ref_template=_REF)
    by_model: _Refs = {**refs}
    return by_model, root["$defs"]


def _queries(operations: Iterable[Operation]) -> list[type[BaseModel]]:
    return [operation.query for operation in operations if operation.query]


def _name_the_kinds(schemas: Json, api: Api) -> None:
    """Which kinds there are, only the wiring knows."""
    schemas[JobRequest.__name__] = one_of(api, _REF)
    jobs = schemas[BatchRequest.__name__]["properties"]["jobs"]
    jobs["items"] = {"$ref": _REF.format(model=JobRequest.__name__)}


def _operation(operation: Operation, refs: _Refs, schemas: Json) -> Json:
    described: Json = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": [
            *_path_parameters(operation.path),
            *_query_parameters(operation, refs, schemas),
            *map(_header_parameter, operation.headers),
        ],
        "responses": {
            **{str(answer.status): _answer(answer, refs) for answer in operation.answers},
            **{str(status): _fault(text, refs) for status, text in operation.faults().items()},
        },
    }
    if operation.description:
        described["description"] = operation.description
    if isinstance(operation.serve, Keyed):
        described["security"] = [{"key": []}]
        described["x-scope"] = operation.serve.scope.value
    if operation.body:
        content = {JSON: {"schema": refs[operation.body, "validation"]}}
        described["requestBody"] = {"required": True, "content": content}
    if operation.raw:
        described["requestBody"] = {"required": True, "content": {name: {} for name in operation.raw}}
    return described


def _path_parameters(path: str) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PARAMETER.findall(path)
    ]


def _query_parameters(operation: Operation, refs: _Refs, schemas: Json) -> list[Json]:
    if operation.query is None:
        return []
    model = schemas[_name(refs[operation.query, "validation"])]
    return [
        {
            "name": name,
            "in": "query",
            "required": name in model.get("required", ()),
            "schema": _without_null(schema),
            **({"description": schema["description"]} if "description" in schema else {}),
        }
        for name, schema in model["properties"].items()
    ]


def _without_null(schema: Json) -> Json:
    """A query has no null: what may be left out is left out."""
    others = [member for member in schema.get("anyOf", ()) if member != {"type": "null"}]
    return others[0] if len(others) == 1 else schema


def _header_parameter(header: Header) -> Json:
    return {
        "name": header.name,
        "in": "header",
        "required": False,
        "description": header.description,
        "schema": {"type": "string"},
        **({"example": header.example} if header.example else {}),
    }


def _answer(answer: Answer, refs: _Refs) -> Json:
    content = {
        media_type: {"schema": _content(media_type, model, refs)}
        for media_type, model in answer.contents.items()
    }
    headers = {
        name: {"description": text, "schema": {"type": "string"}} for name, text in answer.headers.items()
    }
    return {
        "description": answer.description,
        "content": content,
        **({"headers": headers} if headers else {}),
    }


def _content(media_type: str, model: type[BaseModel] | None, refs: _Refs) -> Json:
    if model is not None:
        return refs[model, "serialization"]
    return {"type": "object" if media_type == JSON else "string"}


def _fault(text: str, refs: _Refs) -> Json:
    return {"description": text, "content": {JSON: {"schema": refs[ProblemAnswer, "validation"]}}}


def _name(ref: Json) -> str:
    return str(ref["$ref"]).rpartition("/")[2]


def phrase(status: str) -> str:
    """The name of an HTTP status, for people."""
    return HTTPStatus(int(status)).phrase
