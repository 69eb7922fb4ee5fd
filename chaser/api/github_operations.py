"""The operations under /v1/github, and /v1/runners."""

from chaser.api import github_jobs, github_latency, runners
from chaser.api.operation import Keyed, Operation, answered
from chaser.api.schemas.github import (
    BudgetList,
    GitHubJobAnswer,
    GitHubJobPage,
    GitHubJobQuery,
    GitHubJobStory,
    InstallationList,
    RunnerList,
    WhyAnswer,
)
from chaser.api.schemas.latency import LatencyAnswer, LatencyQuery
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
        method="POST",
        path="/v1/github/jobs/{id}/approve",
        name="approveGitHubJob",
        tag="github",
        summary="Let a held workflow job run, with all other jobs of its run.",
        serve=Keyed(Scope.RUNNERS_WRITE, github_jobs.approve),
        answers=(answered(GitHubJobAnswer),),
        refusals={**_NO_JOB, 409: "`not_held`: it is not waiting for an approval"},
    ),
    Operation(
        method="GET",
        path="/v1/github/latency",
        name="getGitHubLatency",
        tag="github",
        summary="Read how long each part of the way of workflow jobs takes, in all and by profile, and whose part it is.",
        description="Of the jobs that began within the period on runners of this service; of more than 10,000, the newest.",
        serve=Keyed(Scope.RUNNERS_READ, github_latency.show),
        query=LatencyQuery,
        answers=(answered(LatencyAnswer),),
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
