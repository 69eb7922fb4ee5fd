"""/livez and /readyz."""

from typing import Literal

from chaser.api.schemas.common import Shown


class LiveAnswer(Shown):
    status: Literal["ok"] = "ok"
    version: str


class CheckAnswer(Shown):
    ok: bool
    message: str | None = None


class ReadyAnswer(Shown):
    status: Literal["ready"] = "ready"
    checks: dict[str, CheckAnswer]
