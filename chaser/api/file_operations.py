"""The operations on files: uploads for the `inputs` of jobs, and what jobs have left."""

from chaser.api import artifacts, uploads
from chaser.api.operation import JSON, Answer, Keyed, Operation, answered
from chaser.api.schemas.files import ArtifactList, ArtifactsQuery, UploadAnswer, UploadQuery
from chaser.keys import Scope

_NO_UPLOAD = {404: "`upload_not_found`"}

UPLOADS = (
    Operation(
        method="POST",
        path="/v1/uploads",
        name="createUpload",
        tag="files",
        summary="Send a file, or a tar of files, for the inputs of jobs.",
        description=(
            "The body is the bytes themselves. A tar (`type=tar`, or Content-Type `application/x-tar`) is uncompressed, "
            "and may hold files, directories, and links that stay inside of it. Kept for a day."
        ),
        serve=Keyed(Scope.FILES_WRITE, uploads.create),
        query=UploadQuery,
        raw=(artifacts.BYTES, uploads.TAR),
        answers=(answered(UploadAnswer, 201),),
        refusals={
            413: "`upload_too_large`",
            415: "`unsupported_media_type`: a form, where the bytes themselves are wanted",
            422: "`invalid_request`; `invalid_upload`: what is no tar, or has members that cannot be taken",
            503: "`disk_low`, `stopping`: try again later",
        },
    ),
    Operation(
        method="GET",
        path="/v1/uploads/{id}",
        name="getUpload",
        tag="files",
        summary="What is known of an upload.",
        serve=Keyed(Scope.FILES_READ, uploads.read),
        answers=(answered(UploadAnswer),),
        refusals=_NO_UPLOAD,
    ),
    Operation(
        method="DELETE",
        path="/v1/uploads/{id}",
        name="deleteUpload",
        tag="files",
        summary="Remove an upload. A job that names it and has not begun will fail.",
        serve=Keyed(Scope.FILES_WRITE, uploads.delete),
        answers=(Answer(204, "It is removed.", {}),),
        refusals=_NO_UPLOAD,
    ),
)

ARTIFACTS = (
    Operation(
        method="GET",
        path="/v1/jobs/{id}/artifacts",
        name="listArtifacts",
        tag="files",
        summary="The files that a job has left.",
        serve=Keyed(Scope.FILES_READ, artifacts.index),
        query=ArtifactsQuery,
        answers=(Answer(200, "By path.", {JSON: ArtifactList, uploads.TAR: None}),),
        refusals={404: "`job_not_found`"},
    ),
    Operation(
        method="GET",
        path="/v1/jobs/{id}/artifacts/{path:path}",
        name="getArtifact",
        tag="files",
        summary="One of them, byte for byte.",
        serve=Keyed(Scope.FILES_READ, artifacts.read),
        answers=(Answer(200, "Its bytes.", {artifacts.BYTES: None}),),
        refusals={404: "`job_not_found`, `artifact_not_found`"},
    ),
)
