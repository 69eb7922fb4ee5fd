"""GitHub's refusals in our words: by status and type, never by text. GitHub's own sentence is quoted for the reader."""

from githubkit.exception import (
    GitHubException,
    RateLimitExceeded,
    RequestFailed,
    RequestTimeout,
)
from pydantic import ValidationError

from chaser.errors import ChaserError, Refused, Unavailable
from chaser.github.answers import ErrorAnswer
from chaser.jobs.reason import Reason

_QUOTED = 300

_ADVICE = {
    400: "Is github.api_url the address of GitHub's REST API, and does that server know the API version in use?",
    401: (
        "GitHub does not know this App: see that github.app_id and github.private_key belong together, "
        "and that this machine's clock is right."
    ),
    403: (
        "The App may not do this: grant it the permissions that app.yml names, have the owner accept them, "
        "and see that the installation is not suspended and that no IP allow list is in the way."
    ),
    404: (
        "GitHub shows no such thing to this App: is it still installed for this repository, "
        "and is the repository still there?"
    ),
    422: "GitHub does not accept the values of this request.",
}


def failure(error: GitHubException | ValueError, doing: str) -> ChaserError:
    """What to raise for `error`, met while `doing` something (`registering a runner`).

    A ValueError is githubkit's way to say that a header of a rate limit is no number.
    """
    match error:
        case RateLimitExceeded(retry_after=wait):
            return Unavailable(
                Reason.GITHUB_UNAVAILABLE,
                f"GitHub's rate limit was reached while {doing}; it asks to wait {wait.total_seconds():.0f} s.",
                retry_after=wait.total_seconds(),
            )
        case RequestTimeout():
            return unanswered(doing, "no answer in time")
        case RequestFailed():
            return _by_status(error, doing)
        case _:
            cause = error.__cause__
            return unanswered(doing, type(cause or error).__name__)


def unanswered(doing: str, why: str) -> Unavailable:
    message = (
        f"GitHub did not answer while {doing} ({why}): "
        "see https://www.githubstatus.com, and whether this machine reaches github.api_url."
    )
    return Unavailable(Reason.GITHUB_UNAVAILABLE, message)


def _by_status(error: RequestFailed, doing: str) -> ChaserError:
    status = error.response.status_code
    said = _said(error)
    if status >= 500 or status == 429:
        return Unavailable(Reason.GITHUB_UNAVAILABLE, f"GitHub answered {status} while {doing}{said}.")
    advice = _ADVICE.get(status, "")
    return Refused(Reason.GITHUB_REFUSED, f"GitHub answered {status} while {doing}{said}. {advice}".strip())


def _said(error: RequestFailed) -> str:
    try:
        answer = ErrorAnswer.model_validate_json(error.response.content)
    except ValidationError:
        return ""
    return f': "{answer.message[:_QUOTED].rstrip(".")}"'
