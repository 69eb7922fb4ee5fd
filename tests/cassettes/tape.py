"""Cassettes: where they are, and what of a conversation goes on them: no credentials, and everywhere the same names."""

import base64
import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import vcr  # pyright: ignore[reportMissingTypeStubs] # it has none

FOLDER = Path(__file__).parent
API = "https://api.github.com"
TOKEN = "ghs_left-out"
SENT = {"accept", "content-type"}
ANSWERED = {"content-type", "link", "retry-after", "x-ratelimit-remaining", "x-ratelimit-reset"}
"""The headers that are kept: those that say something."""


@dataclass(frozen=True, slots=True)
class Tape:
    """`names`: what is written in place of what was said, such as the accounts of whoever records."""

    names: Mapping[str, str] = field(default_factory=dict[str, str])
    folder: Path = FOLDER

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.yaml"

    def cassette(self, name: str, record_mode: str) -> contextlib.AbstractContextManager[object]:
        return vcr.use_cassette(  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            str(self.path(name)),
            record_mode=record_mode,
            match_on=["method", "scheme", "host", "port", "path", "query", "body"],
            decode_compressed_response=True,
            before_record_request=self._request,
            before_record_response=self._response,
        )

    def _request(self, request: Any) -> Any:  # noqa: ANN401 - vcrpy has no types
        request.uri = self._renamed(request.uri)
        request.headers = {key: value for key, value in request.headers.items() if key.lower() in SENT}
        return request

    def _response(self, response: dict[str, Any]) -> dict[str, Any]:
        headers = response["headers"].items()
        text = response["body"]["string"].decode()
        return {
            **response,
            "headers": {key: value for key, value in headers if key.lower() in ANSWERED},
            "body": {"string": self._renamed(_scrubbed(text)).encode()},
        }

    def _renamed(self, text: str) -> str:
        for said, written in self.names.items():
            text = text.replace(said, written)
        return text


def _scrubbed(text: str) -> str:
    """Without the token, and without the keys in the runner's configuration."""
    text = re.sub(r'"token": ?"[^"]*"', f'"token":"{TOKEN}"', text)
    return re.sub(
        r'("encoded_jit_config": ?")([^"]*)"', lambda found: f'{found[1]}{_keyless(found[2])}"', text
    )


def _keyless(blob: str) -> str:
    """The same files, with nothing in them."""
    files = cast("dict[str, str]", json.loads(base64.b64decode(blob)))
    nothing = base64.b64encode(b"{}").decode()
    return base64.b64encode(json.dumps(dict.fromkeys(files, nothing)).encode()).decode()
