"""The routes under /v1/keys."""

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from chaser.api.schemas.common import Limit, Moment, Query, Shown
from chaser.jobs.kinds.schema import Strict
from chaser.keys import Scope
from chaser.sandboxes.workspaces import NAME

_PRINTABLE = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$"
ProfileName = Annotated[str, Field(min_length=1, max_length=64)]
KEY_ID = r"^key_[0-9a-z]{26}$"


class KeyRequest(Strict):
    """A new key. What is left out is as the key says that makes it; it can only be narrower than that one."""

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=_PRINTABLE)]
    full: bool | None = Field(default=None, description="All scopes; instead of `scopes`.")
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=50)] | None = Field(
        default=None, validate_default=True
    )
    profiles: Annotated[list[ProfileName], Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="The profiles that it may use."
    )
    max_running: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None, description="How many of its runs may go on at once."
    )
    own_jobs: bool | None = Field(default=None, description="It sees only the jobs that it made.")
    workspace_prefix: Annotated[str, Field(pattern=NAME)] | None = Field(
        default=None, description="It sees and uses only workspaces whose name begins so, whatever the case."
    )
    expires_at: Moment | None = None

    @field_validator("scopes")
    @classmethod
    def _one_of(cls, scopes: list[Scope] | None, info: ValidationInfo[object]) -> list[Scope] | None:
        if (scopes is None) == (info.data.get("full") is not True):
            raise ValueError("needs either scopes, a list, or full: true")
        return scopes


class KeyQuery(Query):
    limit: Limit = 20
    cursor: Annotated[str, Field(pattern=KEY_ID, description="`next_cursor` of the page before.")] | None = (
        None
    )


class KeyAnswer(Shown):
    id: str
    name: str
    public: str = Field(
        description="The key's first characters after `sk_`, by which a person recognises it."
    )
    scopes: list[Scope]
    profiles: list[str] | None
    max_running: int | None
    own_jobs: bool
    workspace_prefix: str | None
    created_at: Moment
    expires_at: Moment | None
    revoked_at: Moment | None


class NewKeyAnswer(KeyAnswer):
    key: str = Field(description="The key itself. It is shown this once; only its hash is kept.")


class KeyPage(Shown):
    data: list[KeyAnswer]
    next_cursor: str | None
