"""Carrying out `chaser jobs exec` and `chaser jobs run`: queued, or followed to the end."""

import asyncio
import os
from collections.abc import Mapping

from chaser.cli import artifacts, document, exit_status, jobs_show, output, pipeline_file, uploads
from chaser.cli.attended import Ended, Interrupted, attend
from chaser.cli.exec_request import Asked
from chaser.cli.failure import Failure
from chaser.cli.http import Document
from chaser.cli.job_run import JobRun, NewJob, new_job, post
from chaser.cli.link import link
from chaser.cli.piece import Show, aside
from chaser.cli.place import Place
from chaser.cli.queueing import Queueing
from chaser.cli.service import Service, find_service
from chaser.cli.transfers import Transfers
from chaser.cli.variables import Variables


def exec_(
    command: str,
    asked: Asked,
    place: Place,
    variables: Variables,
    transfers: Transfers,
    queueing: Queueing,
    *,
    json: bool,
) -> int:
    """The program's exit status. Raises `Failure`."""
    fields = asked.fields(command, variables, place, os.environ)
    return _Submission("sandbox.exec", queueing, transfers, aside, json=json).carry_out(fields)


def run(
    file: str, place: Place, variables: Variables, transfers: Transfers, queueing: Queueing, *, json: bool
) -> int:
    """The program's exit status. Raises `Failure`."""
    pipeline = pipeline_file.read(file)
    given = {**place.fields(), **variables.fields(os.environ)}
    fields = {**pipeline.input, **_merged(pipeline.input, given)}
    show = jobs_show.Steps(pipeline.step_names)
    try:
        return _Submission("pipeline.run", queueing, transfers, show, json=json).carry_out(fields)
    except Failure as failure:
        raise pipeline.located(failure) from None


def _merged(input_: Mapping[str, object], given: Mapping[str, object]) -> dict[str, object]:
    """What was typed goes before what is written: names of an environment one by one."""
    both = {
        name: {**document.table(input_.get(name)), **values}
        for name, value in given.items()
        if (values := document.table(value))
    }
    return {**given, **both}


class _Submission:
    def __init__(
        self, kind: str, queueing: Queueing, transfers: Transfers, show: Show, *, json: bool
    ) -> None:
        self._kind = kind
        self._queueing = queueing
        self._transfers = transfers
        self._show = show
        self._json = json

    def carry_out(self, fields: Mapping[str, object]) -> int:
        more = self._queueing.fields()
        service = find_service(os.environ)
        files = uploads.fields(service, self._transfers)
        joined = {
            name: [*document.items(fields.get(name)), *document.items(value)] for name, value in files.items()
        }
        job = new_job(self._kind, {**fields, **joined}, more, self._queueing.idempotency_key)
        if not self._queueing.wait:
            jobs_show.one(asyncio.run(_queue(service, job)), json=self._json)
            return 0
        return self._told(service, asyncio.run(_attend(service, job, self._show)))

    def _told(self, service: Service, end: Ended | Interrupted) -> int:
        match end:
            case Ended(result=job):
                status = exit_status.of_job(job)
                status = artifacts.fetched(service, str(job.get("id")), self._transfers, status)
                jobs_show.finished(job, json=self._json)
                return status
            case Interrupted(signal=number, result=job):
                self._tell_interrupted(job)
                return 128 + number

    def _tell_interrupted(self, job: Document | None) -> None:
        if job is not None:
            jobs_show.finished(job, json=self._json)
            output.note(f"Interrupted; job {job.get('id')} is {job.get('status')}.")
            return
        failure = Failure(
            "interrupted", "Interrupted; the service was told to cancel the job, or will when its leash ends."
        )
        if self._json:
            output.document(failure.document())
        output.note(failure.message)


async def _queue(service: Service, job: NewJob) -> Document:
    async with link(service) as reached:
        return await post(reached, job)


async def _attend(service: Service, job: NewJob, show: Show) -> Ended | Interrupted:
    async with link(service) as reached:
        return await attend(JobRun(reached, job, show))
