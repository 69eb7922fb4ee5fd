"""The shape of every error."""

from pydantic import BaseModel, ConfigDict, Field


class Fault(BaseModel):
    model_config = ConfigDict(frozen=True)

    pointer: str = Field(
        description="Where: a JSON pointer (RFC 6901) into the body, or into the object that the query makes."
    )
    reason: str = Field(description="What is wrong there.")


class Details(BaseModel):
    """Facts that belong to the error; which ones depends on its code."""

    model_config = ConfigDict(frozen=True, extra="allow")

    fields: list[Fault] | None = Field(default=None, description="Every fault of the request at once.")
    job: str | None = Field(default=None, description="The id of the job that this is about.")


class Problem(BaseModel):
    model_config = ConfigDict(frozen=True)

    code: str = Field(description="Stable, for programs.")
    message: str = Field(description="What to do, for people.")
    details: Details


class ProblemAnswer(BaseModel):
    """What every error looks like."""

    model_config = ConfigDict(frozen=True)

    error: Problem
