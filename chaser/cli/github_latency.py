"""`chaser github latency`: where the time goes, asked of the running service."""

import os
from collections.abc import Mapping
from typing import Annotated

import typer

from chaser.cli.durations import milliseconds
from chaser.cli.failure import reported

_COLUMNS = ("span", "whose", "count", "p50", "p95", "p99", "longest")


def latency(
    period: Annotated[str, typer.Option(metavar="DURATION", help="How far back, such as 6h or 7d.")] = "24h",
    profile: Annotated[str | None, typer.Option(help="Of this profile alone.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say how long each part of the way of workflow jobs takes, in all and by profile, and whose part it is."""
    with reported(json=json):
        from chaser.cli import document, output  # httpx, only when it runs
        from chaser.cli.http import call
        from chaser.cli.service import find_service

        query = {"period_ms": str(milliseconds(period)), **({} if profile is None else {"profile": profile})}
        found = call(find_service(os.environ), "GET", "/v1/github/latency", query)
        if json:
            output.document(found)
            return
        whole = document.table(found.get("whole"))
        _show(whole, f"All profiles, {_jobs(whole)}")
        for each in map(document.table, document.items(found.get("profiles"))):
            _show(each, f"{each.get('profile')}, {_jobs(each)}")
        _say_who_is_late(whole)


def _jobs(ledger: Mapping[str, object]) -> str:
    from chaser.cli import document

    count = document.count(ledger.get("jobs"))
    return f"{count} job{'' if count == 1 else 's'}"


def _show(ledger: Mapping[str, object], title: str) -> None:
    from chaser.cli import document, output

    spans = [document.table(span) for span in document.items(ledger.get("spans"))]
    rows = [
        [
            *(str(span.get(name)) for name in ("span", "whose", "count")),
            *(_seconds(span.get(f"{name}_ms")) for name in ("p50", "p95", "p99", "longest")),
        ]
        for span in spans
    ]
    output.table(_COLUMNS, rows, title=output.printable(title))
    output.line("")


def _seconds(value: object) -> str:
    from chaser.cli import document

    return f"{document.count(value) / 1000:.3f} s"


def _say_who_is_late(whole: Mapping[str, object]) -> None:
    from chaser.cli import document, output

    late = document.count(whole.get("late"))
    if late:
        output.note(
            f"GitHub told of {late} of {_jobs(whole)} 30 s or more after it had made them; "
            "see https://www.githubstatus.com."
        )
