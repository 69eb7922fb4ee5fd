"""What is kept with a sandbox's row for whoever takes it over: the launch's terms, sealed, and its progress."""

import json
from typing import Any

from pydantic import TypeAdapter

from chaser.ids import SandboxId
from chaser.jobs.ports import Progress
from chaser.sandboxes.spec import Terms
from chaser.store.sealing import Sealer

_TERMS = TypeAdapter(Terms)
_PROGRESS = TypeAdapter(Progress)


def place(sandbox_id: str) -> str:
    """Where a sandbox's terms are sealed: the name that binds them to their row."""
    return f"sandboxes/{sandbox_id}"


def sealed_terms(terms: Terms, sandbox_id: SandboxId, sealer: Sealer) -> bytes:
    clear = json.dumps(_TERMS.dump_python(terms, mode="json"))
    return sealer.seal(place(sandbox_id), clear.encode())


def opened_terms(sealed: bytes, sandbox_id: SandboxId, sealer: Sealer) -> Terms:
    """Raises `Unsealable`."""
    return _TERMS.validate_python(json.loads(sealer.open(place(sandbox_id), sealed)))


def progress_document(progress: Progress) -> dict[str, Any]:
    return _PROGRESS.dump_python(progress, mode="json")


def progress_of(document: object) -> Progress:
    return Progress() if document is None else _PROGRESS.validate_python(document)
