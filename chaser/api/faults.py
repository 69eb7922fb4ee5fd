"""What pydantic found wrong, as faults of the request: where (a JSON pointer) and why."""

from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from chaser.errors import FieldFault, Rejected

_LONGEST_TOKEN = 200

_SENTENCES = {
    "extra_forbidden": "is not a field of this request",
    "missing": "is required",
    "int_type": "must be an integer",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be a string",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "list_type": "must be a list",
    "finite_number": "must be a finite number",
}


def pointer(location: Sequence[str | int]) -> str:
    """A JSON pointer (RFC 6901). What UTF-8 cannot carry is replaced, and what nobody would read is cut."""
    return "".join(f"/{_token(part)}" for part in location)


def invalid(faults: Sequence[FieldFault]) -> Rejected:
    return Rejected(
        422, "invalid_request", "The request has faults; see details.fields.", fields=tuple(faults)
    )


def faults_of(error: ValidationError) -> list[FieldFault]:
    """One fault a place: of the members of a union that all refuse a value, the reasons are joined."""
    reasons: dict[str, list[str]] = {}
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        reasons.setdefault(pointer(_place(detail)), []).append(_sentence(detail))
    return [FieldFault(where, ", or ".join(dict.fromkeys(whys))) for where, whys in reasons.items()]


def _place(detail: ErrorDetails) -> list[str | int]:
    location = detail["loc"]
    # pydantic adds a step for the key of a mapping, which is no place in the document
    return [part for part in location if part != "[key]"] if location[-1:] == ("[key]",) else list(location)


def _sentence(detail: ErrorDetails) -> str:
    known = _SENTENCES.get(detail["type"])
    return known or detail["msg"].removeprefix("Value error, ").removeprefix("Input ")


def _token(part: str | int) -> str:
    text = str(part).encode("utf-8", "replace").decode()
    text = text if len(text) <= _LONGEST_TOKEN else text[:_LONGEST_TOKEN] + "…"
    return text.replace("~", "~0").replace("/", "~1")
