"""The operations on workspaces, their files and their snapshots."""

from typing import Final

from chaser.api import snapshots, workspace_files, workspaces
from chaser.api.artifacts import BYTES
from chaser.api.operation import Answer, Keyed, Operation, answered
from chaser.api.schemas.files import UploadQuery
from chaser.api.schemas.jobs import JobAnswer
from chaser.api.schemas.workspaces import (
    DeleteQuery,
    FilePage,
    FilesQuery,
    SnapshotAnswer,
    SnapshotList,
    SnapshotRequest,
    WorkspaceAnswer,
    WorkspacePage,
    WorkspaceQuery,
    WorkspaceRequest,
)
from chaser.api.uploads import TAR
from chaser.keys import Scope

_ALL = "/v1/workspaces"
_ONE = "/v1/workspaces/{workspace}"
_FILES = "/v1/workspaces/{workspace}/files"
_FILE = "/v1/workspaces/{workspace}/files/{path:path}"
_SNAPSHOTS = "/v1/workspaces/{workspace}/snapshots"
_SNAPSHOT = "/v1/workspaces/{workspace}/snapshots/{snapshot}"

_NO_WORKSPACE: Final = "`workspace_not_found`"
_IN_USE: Final = "`workspace_in_use`: `details.busy_with` are the jobs that use it, or wait for it"
_ELSEWHERE: Final = "`invalid_request`; `workspace_unavailable`: it is on another engine, or has been lost"
_PATHS: Final = (
    "`path_is_link`: links are not followed; `not_a_directory`, `is_a_directory`, `not_a_file`: "
    "something else is there"
)
_LATER: Final = answered(
    JobAnswer, 202, "It takes long, and goes on as this job.", Location="The job's path."
)

WORKSPACES = (
    Operation(
        method="GET",
        path=_ALL,
        name="listWorkspaces",
        tag="workspaces",
        summary="List workspaces, newest first.",
        serve=Keyed(Scope.WORKSPACES_READ, workspaces.index),
        query=WorkspaceQuery,
        answers=(answered(WorkspacePage),),
    ),
    Operation(
        method="POST",
        path=_ALL,
        name="createWorkspace",
        tag="workspaces",
        summary="Make a workspace, empty or with what another holds.",
        serve=Keyed(Scope.WORKSPACES_WRITE, workspaces.create),
        body=WorkspaceRequest,
        answers=(answered(WorkspaceAnswer, 201, Location="The workspace's path."), _LATER),
        refusals={
            404: "`workspace_not_found`: there is none to clone",
            409: f"`workspace_exists`; {_IN_USE} that is to be cloned",
            422: _ELSEWHERE,
        },
    ),
    Operation(
        method="GET",
        path=_ONE,
        name="getWorkspace",
        tag="workspaces",
        summary="Read a workspace, by its name or id.",
        serve=Keyed(Scope.WORKSPACES_READ, workspaces.read),
        answers=(answered(WorkspaceAnswer),),
        refusals={404: _NO_WORKSPACE},
    ),
    Operation(
        method="DELETE",
        path=_ONE,
        name="deleteWorkspace",
        tag="workspaces",
        summary="Delete a workspace, with its files and its snapshots.",
        serve=Keyed(Scope.WORKSPACES_WRITE, workspaces.delete),
        query=DeleteQuery,
        answers=(Answer(204, "It is gone.", {}),),
        refusals={404: _NO_WORKSPACE, 409: _IN_USE},
    ),
)

FILES = (
    Operation(
        method="GET",
        path=_FILES,
        name="listFiles",
        tag="workspaces",
        summary="List a directory of a workspace, by name.",
        description="Works while jobs use the workspace.",
        serve=Keyed(Scope.FILES_READ, workspace_files.index),
        query=FilesQuery,
        answers=(answered(FilePage),),
        refusals={
            404: f"{_NO_WORKSPACE}, `file_not_found`",
            409: _PATHS,
            413: "`directory_too_large`: fetch it as a tar",
            422: f"{_ELSEWHERE}; `invalid_path`",
        },
    ),
    Operation(
        method="GET",
        path=_FILE,
        name="readFile",
        tag="workspaces",
        summary="A file of a workspace, byte for byte, or a directory as a tar.",
        description=(
            "Works while jobs use the workspace: what is there is copied aside first. A path is percent-encoded; an empty "
            "one is the workspace itself."
        ),
        serve=Keyed(Scope.FILES_READ, workspace_files.read),
        answers=(Answer(200, "Its bytes; of a directory a tar.", {BYTES: None, TAR: None}),),
        refusals={
            404: f"{_NO_WORKSPACE}, `file_not_found`",
            409: _PATHS,
            413: "`file_too_large`",
            422: f"{_ELSEWHERE}; `invalid_path`; `run_timeout`: it took too long",
        },
    ),
    Operation(
        method="PUT",
        path=_FILE,
        name="writeFile",
        tag="workspaces",
        summary="Write a file, or fill a directory from a tar.",
        description=(
            "The body is the file's bytes, or with `type=tar` (or Content-Type `application/x-tar`) an uncompressed tar "
            "whose members go into the directory. Directories above it are made. What is written is for every user of a "
            "sandbox. A body is taken in whole before anything is changed."
        ),
        serve=Keyed(Scope.FILES_WRITE, workspace_files.write),
        query=UploadQuery,
        raw=(BYTES, TAR),
        answers=(Answer(204, "It is written.", {}), _LATER),
        refusals={
            404: _NO_WORKSPACE,
            409: f"{_IN_USE}; {_PATHS}; `quota_exceeded`",
            413: "`upload_too_large`",
            415: "`unsupported_media_type`: a form, where the bytes themselves are wanted",
            422: f"{_ELSEWHERE}; `invalid_path`; `invalid_upload`: what is no tar, or has members that cannot be taken",
        },
    ),
    Operation(
        method="DELETE",
        path=_FILE,
        name="removeFile",
        tag="workspaces",
        summary="Remove a file, or a directory with all that is in it.",
        serve=Keyed(Scope.FILES_WRITE, workspace_files.remove),
        answers=(Answer(204, "It is gone.", {}), _LATER),
        refusals={
            404: f"{_NO_WORKSPACE}, `file_not_found`",
            409: f"{_IN_USE}; {_PATHS}",
            422: f"{_ELSEWHERE}; `invalid_path`",
        },
    ),
)

SNAPSHOTS = (
    Operation(
        method="GET",
        path=_SNAPSHOTS,
        name="listSnapshots",
        tag="workspaces",
        summary="List a workspace's snapshots, newest first.",
        serve=Keyed(Scope.WORKSPACES_READ, snapshots.index),
        answers=(answered(SnapshotList),),
        refusals={404: _NO_WORKSPACE},
    ),
    Operation(
        method="POST",
        path=_SNAPSHOTS,
        name="createSnapshot",
        tag="workspaces",
        summary="Keep what a workspace holds now.",
        serve=Keyed(Scope.WORKSPACES_WRITE, snapshots.create),
        body=SnapshotRequest,
        answers=(answered(SnapshotAnswer, 201, Location="The snapshot's path."), _LATER),
        refusals={404: f"{_NO_WORKSPACE}, `snapshot_not_found`", 409: _IN_USE, 422: _ELSEWHERE},
    ),
    Operation(
        method="POST",
        path=f"{_SNAPSHOT}/restore",
        name="restoreSnapshot",
        tag="workspaces",
        summary="Make the workspace hold what the snapshot holds, and nothing else.",
        serve=Keyed(Scope.WORKSPACES_WRITE, snapshots.restore),
        answers=(answered(SnapshotAnswer), _LATER),
        refusals={
            404: f"{_NO_WORKSPACE}, `snapshot_not_found`",
            409: f"{_IN_USE}; `snapshot_incomplete`, `quota_exceeded`",
            422: _ELSEWHERE,
        },
    ),
    Operation(
        method="DELETE",
        path=_SNAPSHOT,
        name="deleteSnapshot",
        tag="workspaces",
        summary="Delete a snapshot.",
        serve=Keyed(Scope.WORKSPACES_WRITE, snapshots.delete),
        answers=(Answer(204, "It is gone.", {}),),
        refusals={404: f"{_NO_WORKSPACE}, `snapshot_not_found`"},
    ),
)
