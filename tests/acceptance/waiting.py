"""Waiting for what another process does and nobody tells us of."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds after which a test fails; none waits so long where all is well."""


def until(look: Callable[[], T | None], what: str, patience: float = PATIENCE) -> T:
    """The first thing that `look` finds (anything true). Fails the test, naming `what`, if it finds nothing."""
    give_up = time.monotonic() + patience
    while not (found := look()):
        assert time.monotonic() < give_up, f"waited {patience:g} s for {what}"
        time.sleep(0.03)
    return found
