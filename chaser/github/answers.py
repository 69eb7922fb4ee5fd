"""The parts of GitHub's answers that we read. githubkit has models of all of GitHub; these few cost 20 MB less.

A test holds them against githubkit's models.
"""

from collections.abc import Mapping

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, RootModel, SecretStr


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class TokenAnswer(_Answer):
    """https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app"""

    token: SecretStr = Field(min_length=1)
    permissions: Mapping[str, str] = Field(default_factory=dict[str, str])


class RunnerAnswer(_Answer):
    """https://docs.github.com/en/rest/actions/self-hosted-runners"""

    id: int
    name: str
    status: str
    """`online` or `offline`"""
    busy: bool


class RunnersAnswer(_Answer):
    total_count: int
    runners: list[RunnerAnswer]


class JitAnswer(_Answer):
    runner: RunnerAnswer
    encoded_jit_config: SecretStr = Field(min_length=1)


class RunnerGroupAnswer(_Answer):
    """https://docs.github.com/en/rest/actions/self-hosted-runner-groups"""

    id: int
    name: str
    visibility: str
    """`all`, `selected` or `private`"""
    default: bool
    allows_public_repositories: bool = False


class RunnerGroupsAnswer(_Answer):
    total_count: int
    runner_groups: list[RunnerGroupAnswer]


class RepositoryAnswer(_Answer):
    full_name: str
    archived: bool = False
    disabled: bool = False
    pushed_at: AwareDatetime | None = None


class RepositoriesAnswer(_Answer):
    total_count: int
    repositories: list[RepositoryAnswer]


class ActionsAnswer(_Answer):
    """https://docs.github.com/en/rest/actions/permissions#get-github-actions-permissions-for-a-repository"""

    enabled: bool


class WorkflowJobAnswer(_Answer):
    """https://docs.github.com/en/rest/actions/workflow-jobs#get-a-job-for-a-workflow-run"""

    id: int
    status: str
    conclusion: str | None
    runner_id: int | None = None
    runner_name: str | None = None


class ActorAnswer(_Answer):
    login: str


class WorkflowRunAnswer(_Answer):
    """https://docs.github.com/en/rest/actions/workflow-runs#get-a-workflow-run-attempt"""

    event: str
    path: str
    head_branch: str | None
    head_repository: RepositoryAnswer | None = None
    """None where it was deleted."""
    actor: ActorAnswer | None = None
    triggering_actor: ActorAnswer | None = None


class PullRequestAnswer(_Answer):
    """https://docs.github.com/en/rest/pulls/pulls#list-pull-requests"""

    user: ActorAnswer | None
    author_association: str


class PullRequestsAnswer(RootModel[list[PullRequestAnswer]]):
    pass


class RunsJobAnswer(WorkflowJobAnswer):
    """https://docs.github.com/en/rest/actions/workflow-jobs#list-jobs-for-a-workflow-run-attempt"""

    run_id: int
    run_attempt: int = 1
    name: str
    workflow_name: str | None = None
    labels: list[str]
    html_url: str | None = None
    created_at: AwareDatetime | None = None
    started_at: AwareDatetime | None = None
    completed_at: AwareDatetime | None = None


class RunsJobsAnswer(_Answer):
    total_count: int
    jobs: list[RunsJobAnswer]


class AccountAnswer(_Answer):
    """A person or an organization; `login` is missing where it is an enterprise."""

    login: str | None = None
    type: str | None = None

    @property
    def is_organization(self) -> bool:
        return self.type == "Organization"


class RunsRepositoryAnswer(_Answer):
    full_name: str
    private: bool
    owner: AccountAnswer


class RunAnswer(_Answer):
    """https://docs.github.com/en/rest/actions/workflow-runs#list-workflow-runs-for-a-repository"""

    id: int
    run_attempt: int = 1
    repository: RunsRepositoryAnswer


class RunsAnswer(_Answer):
    total_count: int
    workflow_runs: list[RunAnswer]


class InstallationAnswer(_Answer):
    """https://docs.github.com/en/rest/apps/apps#get-an-installation-for-the-authenticated-app"""

    id: int
    account: AccountAnswer | None
    permissions: Mapping[str, str] = Field(default_factory=dict[str, str])
    events: list[str] = Field(default_factory=list[str])
    suspended_at: AwareDatetime | None
    target_type: str | None = None
    repository_selection: str | None = None
    updated_at: AwareDatetime | None = None


class InstallationsAnswer(RootModel[list[InstallationAnswer]]):
    pass


class _AnyAppAnswer(_Answer):
    id: int
    slug: str | None = None
    owner: AccountAnswer
    html_url: str

    @property
    def short_name(self) -> str:
        """What the App is called in addresses."""
        return self.slug or self.html_url.rpartition("/")[2]


class AppAnswer(_AnyAppAnswer):
    """https://docs.github.com/en/rest/apps/apps#get-the-authenticated-app"""

    permissions: Mapping[str, str]
    events: list[str]


class ConversionAnswer(_AnyAppAnswer):
    """https://docs.github.com/en/rest/apps/apps#create-a-github-app-from-a-manifest"""

    pem: SecretStr = Field(min_length=1)
    webhook_secret: SecretStr | None
    """None where the manifest's webhook was not active."""


class HookConfigAnswer(_Answer):
    """https://docs.github.com/en/rest/apps/webhooks#get-a-webhook-configuration-for-an-app"""

    url: str | None = None
    content_type: str | None = None


class HookDeliveryAnswer(_Answer):
    """https://docs.github.com/en/rest/apps/webhooks#list-deliveries-for-an-app-webhook"""

    id: int
    event: str
    status: str
    status_code: int


class HookDeliveriesAnswer(RootModel[list[HookDeliveryAnswer]]):
    pass


class AttemptAnswer(HookDeliveryAnswer):
    guid: str
    delivered_at: AwareDatetime


class AttemptsAnswer(RootModel[list[AttemptAnswer]]):
    pass


class HookRequestAnswer(_Answer):
    payload: object = None


class WholeDeliveryAnswer(_Answer):
    """https://docs.github.com/en/rest/apps/webhooks#get-a-delivery-for-an-app-webhook"""

    request: HookRequestAnswer


class ErrorAnswer(_Answer):
    """https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api"""

    message: str
    documentation_url: str = ""
