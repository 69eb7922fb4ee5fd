"""Carrying out what `chaser jobs` asks about jobs that are there."""

import asyncio
import os
import sys
from collections.abc import Mapping

from chaser.cli import document, exit_status, jobs_show, output
from chaser.cli.follow import FrameLog, RawLog, ended, job_path
from chaser.cli.http import Document, call
from chaser.cli.link import link
from chaser.cli.service import Service, find_service


def get(job: str, *, wait: bool, json: bool) -> int:
    """The program's exit status."""
    service = find_service(os.environ)
    if not wait:
        jobs_show.one(call(service, "GET", job_path(job)), json=json)
        return 0
    found = asyncio.run(_ended(service, job))
    jobs_show.finished(found, json=json)
    return exit_status.of_job(found)


def cancel(job: str, *, json: bool) -> None:
    jobs_show.one(call(find_service(os.environ), "POST", f"{job_path(job)}/cancel"), json=json)


def retry(job: str, *, json: bool) -> None:
    jobs_show.one(call(find_service(os.environ), "POST", f"{job_path(job)}/retry"), json=json)


def kinds(*, json: bool) -> None:
    found = call(find_service(os.environ), "GET", "/v1/jobs/kinds")
    if json:
        output.document(found)
        return
    jobs_show.rows(
        ("kind", "description"), [document.table(each) for each in document.items(found.get("data"))]
    )


def list_(query: Mapping[str, str], *, json: bool) -> None:
    page = call(find_service(os.environ), "GET", "/v1/jobs", query)
    if json:
        output.document(page)
        return
    columns = ("id", "kind", "status", "reason", "created_at")
    jobs_show.rows(columns, [document.table(job) for job in document.items(page.get("data"))])
    if page.get("next_cursor"):
        output.note(f"There are more: --cursor {page['next_cursor']}")


def logs(job: str, *, follow: bool, after: int, json: bool) -> int:
    """The program's exit status."""
    service = find_service(os.environ)
    try:
        if json:
            output.document(asyncio.run(_frames(service, job, after, follow=follow)))
        else:
            asyncio.run(_bytes(service, job, after, follow=follow))
    except BrokenPipeError:
        output.abandon_stdout()
        return exit_status.BROKEN_PIPE
    return 0


async def _ended(service: Service, job: str) -> Document:
    async with link(service) as reached:
        return await ended(reached, job)


async def _frames(service: Service, job: str, after: int, *, follow: bool) -> list[Document]:
    found = list[Document]()
    async with link(service) as reached:
        reached.job = job
        await FrameLog(reached, job, found.append, after).read(follow=follow)
    return found


async def _bytes(service: Service, job: str, after: int, *, follow: bool) -> None:
    async with link(service) as reached:
        reached.job = job
        await RawLog(reached, job, _copy, after).read(follow=follow)


def _copy(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
