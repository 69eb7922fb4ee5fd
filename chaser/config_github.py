"""`[github]`: the App, whom it serves, how what GitHub asks for is learned of, and how runners are looked after."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from chaser.config_rules import RuleTables
from chaser.config_values import Count, Duration, RepositoryPatterns, SecretText, Table, begins, fault
from chaser.runners.inbox import IntakeMode
from chaser.runners.policy import Policy
from chaser.runners.rules import Rules, Then
from chaser.secret import Secret

_GITHUBS_LABELS = ("self-hosted", "linux", "x64", "arm64")


def _no_label_of_githubs(prefix: str) -> str:
    if any(label.startswith(prefix) for label in _GITHUBS_LABELS):
        raise fault(f"may not be what a label of GitHub's own begins with ({', '.join(_GITHUBS_LABELS)})")
    return prefix


class GitHub(Table):
    app_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,40}$", coerce_numbers_to_str=True)] | None = None
    """the App's id, or its client id"""
    private_key: SecretText | None = None
    webhook_secret: SecretText | None = None
    webhook_secret_previous: SecretText | None = None
    api_url: Annotated[str, begins("http://", "https://")] = "https://api.github.com"
    label_prefix: Annotated[
        str, Field(pattern=r"^[a-z][a-z0-9]{0,30}$"), AfterValidator(_no_label_of_githubs)
    ] = "chaser"
    repositories: RepositoryPatterns = ("*/*",)
    """those that may have runners at all"""
    public_repositories: RepositoryPatterns = ()
    """public ones that may have runners; private ones need no leave"""
    forks: Then = Then.HOLD
    """what is done with runs of public repositories whose commit is from a fork, where no rule fits"""
    rules: RuleTables = ()
    """the first that fits decides whether a run runs"""
    refusal_runners: bool = False
    """whether a refused job gets a runner that says so in its log, and fails it; else it waits until GitHub gives it up"""
    runner_group: Annotated[str, Field(min_length=1)] | None = None
    """the organizations' runner group to register runners in; none: their default one"""
    max_running_per_repository: Count | None = None
    """runners at once on this service; none: as many as there are slots"""
    max_running_per_installation: Count | None = None
    points_per_minute: Annotated[int, Field(ge=5, le=900)] = 720
    """of the 900 that GitHub allows an installation for each endpoint: a read costs one, a write five"""
    intake: IntakeMode = IntakeMode.WEBHOOK
    """how deliveries come in: `webhook`, read from the App's list (`deliveries`), or `both`"""
    intake_every: Annotated[Duration, Field(alias="intake_ms")] = timedelta(seconds=5)
    """how often they are read, where they are"""
    redeliver: Annotated[Duration, Field(alias="redeliver_ms")] = timedelta(minutes=2)
    """how often deliveries that failed are asked for again, where they are not read"""
    poll: Annotated[Duration, Field(alias="poll_ms")] = timedelta(minutes=5)
    """how often the jobs of active repositories are looked at"""
    sweep: Annotated[Duration, Field(alias="sweep_ms")] = timedelta(hours=1)
    """how often all repositories are"""
    grace: Annotated[Duration, Field(alias="grace_ms")] = timedelta(minutes=1)
    """how old a job must be until its delivery is no longer waited for"""
    poll_starts: Count = 100
    """runners that one look at an installation may have started"""

    runner_online: Annotated[Duration, Field(alias="runner_online_ms")] = timedelta(minutes=2)
    """how long a runner may take from its registration until it listens for jobs"""
    runner_job: Annotated[Duration, Field(alias="runner_job_ms")] = timedelta(minutes=5, seconds=10)
    """how long one that listens may wait for a job"""
    runner_end: Annotated[Duration, Field(alias="runner_end_ms")] = timedelta(minutes=1)
    """how long one may go on after its job has ended at GitHub"""
    runner_sight: Annotated[Duration, Field(alias="runner_sight_ms")] = timedelta(minutes=2)
    """how long GitHub must not show one, or show it as offline, until it is ended"""
    runner_lists: Annotated[Duration, Field(alias="runner_lists_ms")] = timedelta(minutes=2)
    """how often GitHub's lists of runners are read where runners live"""

    @property
    def policy(self) -> Policy:
        rules = Rules(tuple(table.rule() for table in self.rules), self.forks)
        return Policy(self.public_repositories, self.repositories, rules)

    @property
    def webhook_secrets(self) -> tuple[Secret, ...]:
        """The secrets that a delivery may be signed with: the present one, and the one before while rotating."""
        return tuple(each for each in (self.webhook_secret, self.webhook_secret_previous) if each is not None)
