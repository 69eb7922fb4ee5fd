"""Calls that may be repeated: the key that names one, and the digest that tells a repetition from another call."""

import hashlib
import json
import re
from typing import cast

from starlette.requests import Request

from chaser.api.body import Body
from chaser.api.schemas.job_request import PRINTABLE
from chaser.errors import Rejected
from chaser.keys import ApiKey

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
_KEY = re.compile(PRINTABLE)


def header_key(request: Request) -> str | None:
    key = request.headers.get(HEADER)
    if key is not None and _KEY.fullmatch(key) is None:
        message = f"The header {HEADER} must be 1 to 255 printable ASCII characters; a UUID does well."
        raise Rejected(422, "invalid_request", message, details={"header": HEADER})
    return key


def fingerprint(key: ApiKey, what: str, body: Body) -> str:
    """Of a body, whose own `idempotency_key` does not count: it may stand in the header as well.

    A key that sees only its own jobs has its repetitions to itself, since it could not be shown another's job.
    """
    document = body.document
    if isinstance(document, dict):
        fields = cast("dict[str, object]", document)
        document = {name: value for name, value in fields.items() if name != "idempotency_key"}
    whose = f"{key.id}\n" if key.own_jobs else ""
    written = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{whose}{what}\n{written}".encode()).hexdigest()
