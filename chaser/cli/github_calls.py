"""Carrying out what `chaser github jobs`, `why` and `approve`, and `chaser runners` ask."""

import os
from collections.abc import Mapping

from chaser.cli import document, jobs_show, output
from chaser.cli.failure import Failure
from chaser.cli.http import call
from chaser.cli.service import find_service


def jobs(query: Mapping[str, str], *, json: bool) -> None:
    page = call(find_service(os.environ), "GET", "/v1/github/jobs", query)
    if json:
        output.document(page)
        return
    columns = ("workflow_job_id", "state", "repository", "name", "runner_name", "seen_at")
    jobs_show.rows(columns, [document.table(job) for job in document.items(page.get("data"))])
    if page.get("next_cursor"):
        output.note(f"There are more: --cursor {page['next_cursor']}")


def why(workflow_job_id: int, *, json: bool) -> None:
    answer = call(find_service(os.environ), "GET", f"/v1/github/jobs/{workflow_job_id}/why")
    if json:
        output.document(answer)
    else:
        output.line(output.printable(f"{answer['state']}: {answer['why']}"))


def budget() -> list[object] | None:
    """What the running service's calls to GitHub came to; none, and a note, if there is no service to ask."""
    try:
        return document.items(call(find_service(os.environ), "GET", "/v1/github/budget").get("data"))
    except Failure as failure:
        output.note(f"What its calls to GitHub come to, only the running service knows. {failure.message}")
        return None


def show_budget(found: list[object] | None) -> None:
    if not found:
        return
    output.line("")
    columns = ("installation", "calls", "calls per job", "waiting", "limits met", "left this hour")
    output.table(columns, [_spent(document.table(each)) for each in found])


def _spent(spending: Mapping[str, object]) -> list[str]:
    calls, per_job = document.table(spending.get("calls")), spending.get("calls_per_job")
    left = {name: document.table(each) for name, each in document.table(spending.get("left")).items()}
    return [
        str(spending.get("installation_id")),
        str(sum(document.count(each) for each in calls.values())),
        f"{per_job:.1f}" if isinstance(per_job, float | int) else "no job yet",
        str(spending.get("waiting")),
        str(spending.get("limited")),
        ", ".join(f"{name} {each.get('remaining')} of {each.get('limit')}" for name, each in left.items()),
    ]


def approve(workflow_job_id: int, *, json: bool) -> None:
    answer = call(find_service(os.environ), "POST", f"/v1/github/jobs/{workflow_job_id}/approve")
    if json:
        output.document(answer)
    else:
        output.note(output.printable(f"Approved; the job is {answer['state']} now."))


def runners(*, json: bool) -> None:
    found = call(find_service(os.environ), "GET", "/v1/runners")
    if json:
        output.document(found)
        return
    columns = ("name", "status", "profile", "repository", "workflow_job_id", "serves", "started_at")
    jobs_show.rows(columns, [document.table(each) for each in document.items(found.get("data"))])
