"""Reading a request: its body within bounds, its JSON without surprises, its query as a model."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn, TypeVar, cast

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from chaser.api.context import Rules
from chaser.api.faults import faults_of, invalid, pointer
from chaser.errors import FieldFault, Rejected

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Body:
    """A body that is JSON: as it was sent, and as it was read."""

    raw: bytes
    document: object

    def parse(self, model: type[Model], context: Mapping[str, object] | None = None) -> Model:
        """The body as `model`. Raises `Rejected` with every fault at once."""
        # what they are made of can only be written with an escape: neither stands in JSON or UTF-8 as it is
        faults = [FieldFault(*each) for each in _unspeakable(self.document)] if b"\\u" in self.raw else []
        if faults:
            raise invalid(faults)
        try:
            return model.model_validate_json(self.raw, context=dict(context or {}))
        except ValidationError as error:
            if any(detail["type"] == "json_invalid" for detail in error.errors(include_input=False)):
                raise _malformed("it nests deeper than any field of this API") from None
            raise invalid(faults_of(error)) from None


async def read_json(request: Request, rules: Rules, most: int | None = None) -> Body:
    """The request's body, read and parsed; `most` bytes of it. Raises `Rejected`: too large, too slow, not JSON."""
    try:
        async with asyncio.timeout(rules.body_deadline.total_seconds()):
            raw = await _read(request, most or rules.body_bytes)
    except TimeoutError:
        raise Rejected(408, "request_timeout", "The body did not arrive in time; send it again.") from None
    return Body(raw, _decode(raw))


def read_query(request: Request, model: type[Model]) -> Model:
    """The query as `model`. Raises `Rejected` with every fault at once."""
    pairs = request.query_params.multi_items()
    names = [name for name, _ in pairs]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise invalid([FieldFault(pointer([name]), "is given more than once") for name in twice])
    faults = [FieldFault(where, why) for where, why in _unspeakable(dict(pairs))]
    if faults:
        raise invalid(faults)
    try:
        return model.model_validate_strings(dict(pairs))
    except ValidationError as error:
        raise invalid(faults_of(error)) from None


async def _read(request: Request, most: int) -> bytes:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > most:
        _too_large(most)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            _too_large(most)
    return bytes(body)


def _too_large(most: int) -> NoReturn:
    raise Rejected(
        413,
        "body_too_large",
        f"The body is larger than {most} bytes. Put what is large into the image, or have the command fetch it.",
    )


def _decode(raw: bytes) -> object:
    try:
        return cast("object", _DECODER.decode(raw.decode("utf-8")))
    except UnicodeDecodeError as error:
        raise _malformed(f"it is not UTF-8 (at byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise _malformed(f"{error.msg} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise _malformed("it nests deeper than any field of this API") from None
    except ValueError:
        # Python refuses to read integers of more than 4,300 digits
        raise _malformed("a number in it is too long") from None


def _no_constant(name: str) -> NoReturn:
    raise _malformed(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _malformed(why: str) -> Rejected:
    return Rejected(400, "malformed_json", f"The body must be a JSON document: {why}.")


def _unspeakable(document: object) -> Iterator[tuple[str, str]]:
    """Strings that no store, shell or UTF-8 can carry. Without recursion: the document may be deep."""
    left: list[tuple[tuple[str | int, ...], object]] = [((), document)]
    while left:
        where, value = left.pop()
        match value:
            case str() if "\0" in value:
                yield pointer(where), "must not hold a NUL"
            case str() if _has_surrogate(value):
                yield pointer(where), "holds a lone surrogate, which UTF-8 cannot carry"
            case dict():
                entries = cast("dict[str, object]", value)
                left.extend(((*where, key), entry) for key, entry in entries.items())
                left.extend(((*where, key), key) for key in entries)
            case list():
                left.extend(((*where, index), item) for index, item in enumerate(cast("list[object]", value)))
            case _:
                pass


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
