"""The ids that every log line of a task carries, bound where they are known. Free of any library, for the core's use."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

_IDS: ContextVar[Mapping[str, str] | None] = ContextVar("chaser_log_ids", default=None)


@contextmanager
def log_ids(**ids: str) -> Generator[None]:
    """Give these ids to every log line in here, and in tasks begun in here."""
    token = _IDS.set({**bound_ids(), **ids})
    try:
        yield
    finally:
        _IDS.reset(token)


def bound_ids() -> Mapping[str, str]:
    return _IDS.get() or {}
