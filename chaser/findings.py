"""What an inspection of the installation found: values only, for whoever shows them."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """It works, with less than there could be."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was found, and what to do about it if it is not well."""

    check: str
    state: State
    message: str
    mend: str | None = None


def ok(check: str, message: str) -> Finding:
    return Finding(check, State.OK, message)


def warning(check: str, message: str, mend: str) -> Finding:
    return Finding(check, State.WARNING, message, mend)


def failed(check: str, message: str, mend: str) -> Finding:
    return Finding(check, State.FAILED, message, mend)
