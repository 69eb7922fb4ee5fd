"""Carrying out `chaser exec`: the run's output as it comes, its end as a sentence, its exit status."""

import asyncio
import os
from collections.abc import Mapping

import httpx

from chaser.cli import artifacts, exit_status, output, uploads
from chaser.cli.attended import Ended, Interrupted, Result, attend
from chaser.cli.durations import milliseconds
from chaser.cli.ending import sentence
from chaser.cli.exec_request import Asked, said
from chaser.cli.failure import Failure
from chaser.cli.http import patience
from chaser.cli.piece import Show, as_it_came, nowhere
from chaser.cli.place import Place
from chaser.cli.run import SILENCE_SECONDS, ExecRun
from chaser.cli.service import Service, find_service
from chaser.cli.transfers import Transfers
from chaser.cli.variables import Variables


def request(
    command: str, asked: Asked, place: Place, variables: Variables, queue_timeout: str | None
) -> dict[str, object]:
    """The body of `POST /v1/exec`, but for its files."""
    fields = asked.fields(command, variables, place, os.environ)
    return said({**fields, "queue_timeout_ms": milliseconds(queue_timeout)})


def execute(body: Mapping[str, object], transfers: Transfers, *, json: bool) -> int:
    """The program's exit status. Raises `Failure`."""
    service = find_service(os.environ)
    whole = {**body, **uploads.fields(service, transfers)}
    try:
        ended = asyncio.run(_run(service, whole, nowhere if json else as_it_came))
    except BrokenPipeError:
        # the reader of our output has left, and so has the connection by now, which cancels the run
        output.abandon_stdout()
        return exit_status.BROKEN_PIPE
    match ended:
        case Ended(result=result):
            status = exit_status.of_result(result)
            status = artifacts.fetched(service, str(result.get("id")), transfers, status)
            _tell(result, json=json)
            return status
        case Interrupted(signal=number, result=result):
            _tell_interrupted(result, json=json)
            return 128 + number


async def _run(service: Service, body: Mapping[str, object], show: Show) -> Ended | Interrupted:
    # a proxy of the environment is for the way out, not for this machine
    async with httpx.AsyncClient(
        base_url=service.url,
        headers=service.headers,
        timeout=patience(SILENCE_SECONDS),
        trust_env=not service.local,
    ) as client:
        return await attend(ExecRun(client, body, show))


def _tell(result: Result, *, json: bool) -> None:
    if json:
        output.document(result)
    said_of_it = sentence(result)
    if said_of_it:
        output.note(said_of_it)


def _tell_interrupted(result: Result | None, *, json: bool) -> None:
    if result is None:
        failure = Failure("interrupted", "Interrupted; the service was told to cancel the run.")
        if json:
            output.document(failure.document())
        output.note(failure.message)
        return
    if json:
        output.document(result)
    output.note(f"Interrupted; run {result.get('id')} is {result.get('status')}.")
