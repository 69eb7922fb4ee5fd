"""The operations under /v1/github, and /v1/runners."""

from chaser.api import github_jobs, runners
from chaser.api.operation import Keyed, Operation, answered
from chaser.api.schemas.github import (
    BudgetList,
    GitHubJobPage,
    GitHubJobQuery,
    GitHubJobStory,
    InstallationList,
    RunnerList,
    WhyAnswer,
)
from chaser.keys import Scope

_NO_JOB = {404: "`workflow_job_not_found`: no delivery has told of it"}

GITHUB = (
    Operation(
        method="GET",
        path="/v1/runners",
        name="listRunners",
        tag="github",
        summary="List the runners that are being made, or are there.",
        serve=Keyed(Scope.RUNNERS_READ, runners.index),
        answers=(answered(RunnerList),),
    ),
    Operation(
        method="GET",
        path="/v1/github/jobs",
        name="listGitHubJobs",
        tag="github",
        summary="List the workflow jobs at GitHub that are for this service, newest first.",
        serve=Keyed(Scope.RUNNERS_READ, github_jobs.index),
        query=GitHubJobQuery,
        answers=(answered(GitHubJobPage),),
    ),
    Operation(
        method="GET",
        path="/v1/github/jobs/{id}",
        name="getGitHubJob",
        tag="github",
        summary="Read the whole story of a workflow job: deliveries, decision, runner, times.",
        description="`id` is GitHub's: the number at the end of the job's address.",
        serve=Keyed(Scope.RUNNERS_READ, github_jobs.read),
        answers=(answered(GitHubJobStory),),
        refusals=_NO_JOB,
    ),
    Operation(
        method="GET",
        path="/v1/github/jobs/{id}/why",
        name="whyGitHubJob",
        tag="github",
        summary="Say why a workflow job waits, or was refused, and what can be done.",
        serve=Keyed(Scope.RUNNERS_READ, github_jobs.explain),
        answers=(answered(WhyAnswer),),
        refusals=_NO_JOB,
    ),
    Operation(
        method="GET",
        path="/v1/github/installations",
        name="listInstallations",
        tag="github",
        summary="List where the App is installed, or was.",
        serve=Keyed(Scope.RUNNERS_READ, github_jobs.installations),
        answers=(answered(InstallationList),),
    ),
    Operation(
        method="GET",
        path="/v1/github/budget",
        name="getGitHubBudget",
        tag="github",
        summary="Say what calls to GitHub came to, and how many it still allows.",
        description="Of this process of the service; where several share a database, each has its own.",
        serve=Keyed(Scope.RUNNERS_READ, github_jobs.budget),
        answers=(answered(BudgetList),),
    ),
)
