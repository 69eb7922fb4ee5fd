"""The parts of GitHub's answers that we read. githubkit has models of all of GitHub; these few cost 20 MB less.

A test holds them against githubkit's models.
"""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, SecretStr


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
    runners: list[RunnerAnswer]


class JitAnswer(_Answer):
    runner: RunnerAnswer
    encoded_jit_config: SecretStr = Field(min_length=1)


class ErrorAnswer(_Answer):
    """https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api"""

    message: str
