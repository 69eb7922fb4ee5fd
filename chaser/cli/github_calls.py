"""Carrying out what `chaser github jobs`, `chaser github why` and `chaser runners` ask."""

import os
from collections.abc import Mapping

from chaser.cli import document, jobs_show, output
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


def runners(*, json: bool) -> None:
    found = call(find_service(os.environ), "GET", "/v1/runners")
    if json:
        output.document(found)
        return
    columns = ("name", "status", "profile", "repository", "workflow_job_id", "serves", "started_at")
    jobs_show.rows(columns, [document.table(each) for each in document.items(found.get("data"))])
