"""One-time passes of the setup page: random words of which only the digest is kept, each for one purpose and a short while."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

LIFETIME: Final = timedelta(hours=1)
"""As long as GitHub's own code of the manifest flow is good."""


class Purpose(StrEnum):
    LINK = "link"
    """Opens the setup page, once; `chaser github setup` prints it."""
    VISIT = "visit"
    """The browser that opened it: its cookie."""
    STATE = "state"
    """Goes to GitHub and comes back with the browser; bound to its visit."""


@dataclass(frozen=True, slots=True)
class Pass:
    digest: str
    purpose: Purpose
    expires_at: datetime
    bound_to: str | None = None
    """The digest of the visit that it belongs to."""


class Passes(Protocol):
    async def add(self, issued: Pass) -> None:
        """Keep it, and forget those that expired before it was made."""
        ...

    async def take(self, digest: str, purpose: Purpose, now: datetime, bound_to: str | None = None) -> bool:
        """Whether there is such a pass, not expired; there is none afterwards."""
        ...

    async def valid(self, digest: str, purpose: Purpose, now: datetime) -> bool:
        """Whether there is such a pass, not expired."""
        ...


def new_word() -> str:
    return secrets.token_urlsafe(32)


def digest(word: str) -> str:
    """A word has 256 random bits, so a slow hash would add nothing."""
    return hashlib.sha256(word.encode()).hexdigest()


def new_pass(word: str, purpose: Purpose, now: datetime, bound_to: str | None = None) -> Pass:
    return Pass(digest(word), purpose, now + LIFETIME, bound_to)
