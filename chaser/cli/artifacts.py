"""Bringing back what a run has made: its artifacts, into a folder here."""

import asyncio
from collections.abc import Mapping
from urllib.parse import quote

from chaser.cli import document, exit_status, output
from chaser.cli.failure import Failure
from chaser.cli.follow import job_path
from chaser.cli.link import Link, link
from chaser.cli.out_folder import OutFolder
from chaser.cli.service import Service
from chaser.cli.transfers import Transfers


def fetched(service: Service, job: str, transfers: Transfers, status: int) -> int:
    """The program's exit status after the files were brought back: a run that went well fails without them."""
    if not transfers.out:
        return status
    try:
        count, refusals = asyncio.run(_fetch(service, job, transfers))
    except Failure as failure:
        output.note(f"The artifacts could not be brought back. {failure.message}")
        return status or failure.exit_status
    for refusal in refusals:
        output.note(refusal.message)
    output.note(f"{count} artifacts are in {transfers.out_dir}.")
    return status or (exit_status.UNAVAILABLE if refusals else 0)


async def _fetch(service: Service, job: str, transfers: Transfers) -> tuple[int, list[Failure]]:
    """How many came, and those that must not be written."""
    count, refusals = 0, list[Failure]()
    with OutFolder(transfers.out_dir) as folder:
        async with link(service) as reached:
            reached.job = job
            found = await reached.request("GET", f"{job_path(job)}/artifacts")
            for each in document.items(found.get("data")):
                try:
                    await _one(reached, job, document.table(each), folder)
                    count += 1
                except Failure as failure:
                    if failure.code != "unsafe_path":
                        raise
                    refusals.append(failure)
    return count, refusals


async def _one(reached: Link, job: str, artifact: Mapping[str, object], folder: OutFolder) -> None:
    path, mode = str(artifact.get("path")), document.count(artifact.get("mode"))

    async def attempt() -> None:
        with folder.file(path, executable=bool(mode & 0o100)) as file:
            async with reached.stream("GET", f"{job_path(job)}/artifacts/{quote(path)}") as response:
                async for chunk in response.aiter_bytes():
                    file.write(chunk)
                    reached.heard()

    await reached.persist(attempt)
