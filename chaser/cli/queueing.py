"""Options that say when a job runs, how often, and who waits for it."""

from dataclasses import dataclass
from typing import Annotated

import typer

from chaser.cli.durations import milliseconds
from chaser.cli.exec_request import said

_LEASH_MS = 60_000
"""A job that somebody waits for is cancelled when nobody has for so long: a CI system may kill this program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queueing:
    wait: Annotated[
        bool,
        typer.Option(
            "--wait/--detach", help="Follow it to its end, on stderr; or only queue it, which is the default."
        ),
    ] = False
    run_at: Annotated[
        str | None, typer.Option(metavar="T", help="Not before this time: 2030-01-31T08:00:00Z.")
    ] = None
    queue_timeout: Annotated[str | None, typer.Option(help="How long it may wait for its turn.")] = None
    idempotency_key: Annotated[
        str | None,
        typer.Option(metavar="K", help="The same key with the same request finds the same job again."),
    ] = None
    priority: Annotated[int | None, typer.Option(min=-100, max=100, help="Higher goes first; else 0.")] = None
    concurrency_key: Annotated[
        str | None, typer.Option(metavar="K", help="Jobs with the same key run one at a time, in order.")
    ] = None
    retry_on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REASON",
            help="Run it again if it ends so: nonzero_exit, run_timeout, host_lost, out_of_memory; repeat it.",
        ),
    ] = None
    retry: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="How often, with --retry-on; else once.")
    ] = None

    def fields(self) -> dict[str, object]:
        """The job's fields beside `kind` and `input`."""
        if self.retry is not None and not self.retry_on:
            raise typer.BadParameter("--retry says how often; say with --retry-on for which reasons")
        retry = {"on": self.retry_on, "max": self.retry or 1} if self.retry_on else None
        return said(
            {
                "run_at": self.run_at,
                "queue_timeout_ms": milliseconds(self.queue_timeout),
                "priority": self.priority,
                "concurrency_key": self.concurrency_key,
                "retry": retry,
                "leash_ms": _LEASH_MS if self.wait else None,
            }
        )
