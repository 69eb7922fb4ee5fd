"""Carrying out `chaser jobs`."""

import json as json_
import os
import sys
from collections.abc import Mapping
from urllib.parse import quote

import httpx

from chaser.cli import document, exit_status, output
from chaser.cli.http import Document, call, client
from chaser.cli.refusal import refusal
from chaser.cli.service import find_service


def get(job: str, *, json: bool) -> None:
    _print(call(find_service(os.environ), "GET", _path(job)), json=json)


def cancel(job: str, *, json: bool) -> None:
    _print(call(find_service(os.environ), "POST", f"{_path(job)}/cancel"), json=json)


def list_(query: Mapping[str, str], *, json: bool) -> None:
    page = call(find_service(os.environ), "GET", "/v1/jobs", query)
    if json:
        output.document(page)
        return
    columns = ("id", "kind", "status", "reason", "created_at")
    jobs = [document.table(job) for job in document.items(page.get("data"))]
    output.table(columns, [[_cell(job.get(column)) for column in columns] for job in jobs])
    if page.get("next_cursor"):
        output.note(f"There are more: --cursor {page['next_cursor']}")


def logs(job: str, *, follow: bool, after: int, json: bool) -> int:
    """The program's exit status."""
    service = find_service(os.environ)
    query = {"follow": str(follow).lower(), "after": str(after), "format": "ndjson" if json else "text"}
    try:
        with client(service) as made, made.stream("GET", f"{_path(job)}/logs", params=query) as response:
            if not response.is_success:
                raise refusal(response.status_code, response.read())
            if json:
                output.document([json_.loads(line) for line in response.read().split(b"\n") if line.strip()])
            else:
                _copy(response)
    except BrokenPipeError:
        output.abandon_stdout()
        return exit_status.BROKEN_PIPE
    except KeyboardInterrupt:
        return exit_status.INTERRUPTED
    return 0


def _copy(response: httpx.Response) -> None:
    for chunk in response.iter_bytes():
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()


def _path(job: str) -> str:
    return f"/v1/jobs/{quote(job, safe='')}"


def _print(job: Document, *, json: bool) -> None:
    if json:
        output.document(job)
        return
    shown = {name: value for name, value in job.items() if value not in (None, {}, [])}
    output.table(("field", "value"), [[name, _cell(value)] for name, value in shown.items()])


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case _:
            return json_.dumps(value, ensure_ascii=False)
