"""Carrying out what `chaser workspaces` does with files: in, out, and shown."""

import asyncio
import base64
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from urllib.parse import quote

import httpx

from chaser.cli import document, exit_status, jobs_show, output, uploads
from chaser.cli.failure import Failure
from chaser.cli.http import call, client
from chaser.cli.link import link
from chaser.cli.out_folder import OutFolder
from chaser.cli.refusal import refusal
from chaser.cli.service import Service, find_service
from chaser.cli.untar import Unpacked, unpack
from chaser.cli.workspaces_calls import workspace_path


def ls(workspace: str, path: str, *, json: bool) -> None:
    query = {"path": path} if path else {}
    page = call(find_service(os.environ), "GET", f"{workspace_path(workspace)}/files", query)
    if json:
        output.document(page)
        return
    entries = [document.table(each) for each in document.items(page.get("data"))]
    columns = [
        each
        for each in ("type", "size_bytes", "modified_at", "name", "path")
        if entries and each in entries[0]
    ]
    jobs_show.rows(columns, entries)


def cat(workspace: str, path: str, *, json: bool) -> int:
    """The program's exit status."""
    try:
        with _reading(workspace, path) as response:
            if _is_tar(response):
                raise Failure(
                    "is_folder", f"{output.printable(path)} is a folder; list it with `ls`, or `pull` it.", 1
                )
            if json:
                content = base64.b64encode(response.read()).decode("ascii")
                output.document({"path": path, "content_base64": content})
                return 0
            for piece in response.iter_bytes():
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        output.abandon_stdout()
        return exit_status.BROKEN_PIPE
    return 0


def push(workspace: str, source: Path, path: str, *, everything: bool, json: bool) -> None:
    answer = asyncio.run(
        _push(find_service(os.environ), _files_path(workspace, path), source, whole=everything)
    )
    if json:
        output.document(answer or {"workspace": workspace, "path": path})


async def _push(service: Service, path: str, source: Path, *, whole: bool) -> dict[str, object]:
    async with link(service) as reached:
        return await uploads.send(reached, "PUT", path, source, whole=whole)


def pull(workspace: str, target: Path, path: str, *, json: bool) -> int:
    """The program's exit status: a failure where something may not be written."""
    with _reading(workspace, path) as response:
        done = (
            unpack(response.iter_bytes(), target) if _is_tar(response) else _one_file(response, target, path)
        )
    for each in done.refusals:
        output.note(each.message)
    if json:
        refused = [each.details.get("path") for each in done.refusals]
        output.document({"entries": done.entries, "refused": refused, "directory": str(target)})
    output.note(f"{done.entries} entries are in {target}.")
    return exit_status.UNAVAILABLE if done.refusals else 0


def _one_file(response: httpx.Response, target: Path, path: str) -> Unpacked:
    with OutFolder(target) as folder, folder.file(PurePosixPath(path).name, executable=False) as file:
        for piece in response.iter_bytes():
            file.write(piece)
    return Unpacked(entries=1)


@contextmanager
def _reading(workspace: str, path: str) -> Generator[httpx.Response]:
    with (
        client(find_service(os.environ)) as made,
        made.stream("GET", _files_path(workspace, path)) as response,
    ):
        if not response.is_success:
            raise refusal(response.status_code, response.read())
        yield response


def _is_tar(response: httpx.Response) -> bool:
    return response.headers.get("Content-Type", "").partition(";")[0].strip() == uploads.TAR


def _files_path(workspace: str, path: str) -> str:
    names = [name for name in path.split("/") if name not in ("", ".")]
    if ".." in names:
        # the HTTP client would resolve it, and call something else
        raise Failure(
            "invalid_path", f"{output.printable(path)} is no path in a workspace: it has a part `..`.", 2
        )
    return f"{workspace_path(workspace)}/files/{quote(os.fsencode('/'.join(names)))}"
