"""Carrying out `chaser exec`: the run's output as it comes, its end as a sentence, its exit status."""

import asyncio
import os
import sys
from collections.abc import Mapping

from chaser.cli import exit_status, output
from chaser.cli.exec_request import Asked
from chaser.cli.failure import Failure
from chaser.cli.run import Ended, Interrupted, Piece, Result, run
from chaser.cli.service import find_service


def execute(asked: Asked, *, json: bool) -> int:
    """The program's exit status. Raises `Failure`."""
    request = asked.request(os.environ)
    service = find_service(os.environ)
    try:
        match asyncio.run(run(service, request, _ignore if json else _show)):
            case Ended(result=result):
                _tell(result, json=json)
                return exit_status.of_result(result)
            case Interrupted(signal=number, result=result):
                _tell_interrupted(result, json=json)
                return 128 + number
    except BrokenPipeError:
        # the reader of our output has left, and so has the connection by now, which cancels the run
        output.abandon_stdout()
        return exit_status.BROKEN_PIPE


def _show(piece: Piece) -> None:
    if piece.stream == "gap":
        output.note(f"{piece.skipped} bytes of output are left out here; the job's log has what is stored.")
        return
    to = sys.stderr if piece.stream == "stderr" else sys.stdout
    to.buffer.write(piece.data.encode("utf-8", "replace"))
    to.buffer.flush()


def _ignore(_piece: Piece) -> None:
    """With `--json` nothing but the document is printed."""


def _tell(result: Result, *, json: bool) -> None:
    if json:
        output.document(result)
    sentence = _sentence(result)
    if sentence:
        output.note(sentence)


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


def _sentence(result: Mapping[str, object]) -> str | None:
    """What a person must be told: nothing where the command's own exit status and output say it all."""
    reason = result.get("reason")
    if reason in (None, "nonzero_exit"):
        return None
    return f"{result.get('status')}: {reason}. {result.get('message') or ''} ({result.get('id')})"
