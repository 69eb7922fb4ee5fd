"""The parts of GitHub's answers that are read are parts that GitHub's own description has."""

import pytest
from githubkit_schemas.v2026_03_10 import models  # pyright: ignore[reportMissingTypeStubs] # typed, but unmarked
from pydantic import BaseModel

from chaser.github import answers


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (answers.TokenAnswer, models.InstallationToken),
        (answers.RunnerAnswer, models.Runner),
        (answers.RunnersAnswer, models.OrgsOrgActionsRunnersGetResponse200),
        (answers.RunnersAnswer, models.ReposOwnerRepoActionsRunnersGetResponse200),
        (answers.JitAnswer, models.OrgsOrgActionsRunnersGenerateJitconfigPostResponse201),
        (answers.RunnerGroupAnswer, models.RunnerGroupsOrg),
        (answers.RunnerGroupsAnswer, models.OrgsOrgActionsRunnerGroupsGetResponse200),
        (
            answers.RepositoriesAnswer,
            models.OrgsOrgActionsRunnerGroupsRunnerGroupIdRepositoriesGetResponse200,
        ),
        (answers.ActionsAnswer, models.ActionsRepositoryPermissions),
        (answers.WorkflowJobAnswer, models.Job),
        (answers.WorkflowRunAnswer, models.WorkflowRun),
        (answers.ActorAnswer, models.SimpleUser),
        (answers.PullRequestAnswer, models.PullRequestSimple),
        (answers.RunsJobAnswer, models.Job),
        (
            answers.RunsJobsAnswer,
            models.ReposOwnerRepoActionsRunsRunIdAttemptsAttemptNumberJobsGetResponse200,
        ),
        (answers.RunAnswer, models.WorkflowRun),
        (answers.RunsAnswer, models.ReposOwnerRepoActionsRunsGetResponse200),
        (answers.RunsRepositoryAnswer, models.MinimalRepository),
        (answers.RepositoriesAnswer, models.InstallationRepositoriesGetResponse200),
        (answers.RepositoryAnswer, models.Repository),
        (answers.AttemptAnswer, models.HookDeliveryItem),
        (answers.WholeDeliveryAnswer, models.HookDelivery),
        (answers.HookRequestAnswer, models.HookDeliveryPropRequest),
        (answers.InstallationAnswer, models.Installation),
        (answers.AppAnswer, models.Integration),
        (answers.ConversionAnswer, models.AppManifestsCodeConversionsPostResponse201),
        (answers.HookConfigAnswer, models.WebhookConfig),
        (answers.HookDeliveryAnswer, models.HookDeliveryItem),
        (answers.ErrorAnswer, models.BasicError),
    ],
)
def test_each_field_is_one_of_githubs(ours: type[BaseModel], theirs: type[BaseModel]) -> None:
    assert set(ours.model_fields) <= set(theirs.model_fields)
    always = {name for name, field in ours.model_fields.items() if field.is_required()}
    assert always <= {name for name, field in theirs.model_fields.items() if field.is_required()} | (
        {"message"} if ours is answers.ErrorAnswer else set()
    )
