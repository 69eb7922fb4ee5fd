"""The routes under /v1/uploads, and the artifacts of jobs."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from chaser.api.schemas.common import Moment, Query, Shown

UPLOAD_ID = r"^upl_[0-9a-z]{26}$"


class UploadType(StrEnum):
    FILE = "file"
    TAR = "tar"


class UploadQuery(Query):
    type: Annotated[
        UploadType | None,
        Field(description="What the body is; else `tar` if its Content-Type is `application/x-tar`."),
    ] = None


class UploadAnswer(Shown):
    id: str
    size_bytes: int
    type: UploadType
    created_at: Moment
    expires_at: Moment = Field(description="From then on no new job may name it.")


class ArtifactsFormat(StrEnum):
    JSON = "json"
    TAR = "tar"


class ArtifactsQuery(Query):
    format: Annotated[ArtifactsFormat, Field(description="`tar`: all of them as one tar.")] = (
        ArtifactsFormat.JSON
    )


class ArtifactAnswer(Shown):
    path: str = Field(description="Relative to the job's directory where the file lay below it.")
    size_bytes: int
    mode: int = Field(description="The permission bits.")


class ArtifactList(Shown):
    data: list[ArtifactAnswer]
    next_cursor: None = None
