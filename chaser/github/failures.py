"""GitHub's refusals in our words: by status, headers and type, never by text. GitHub's own sentence is quoted for the reader."""

from collections.abc import Mapping
from dataclasses import dataclass

from githubkit.exception import (
    GitHubException,
    PrimaryRateLimitExceeded,
    RateLimitExceeded,
    RequestFailed,
    RequestTimeout,
)
from pydantic import ValidationError

from chaser.errors import Refused, Unavailable
from chaser.github.answers import ErrorAnswer, InstallationAnswer
from chaser.github.pages import installation_page
from chaser.github.permissions import missing, titled
from chaser.jobs.reason import Reason

_QUOTED = 300
_PARKED_SECONDS = 300.0
"""Between two looks at what only a person can change."""

_PERMISSIONS_HEADER = "x-accepted-github-permissions"
"""What the call needs, on every answer to an App.

https://docs.github.com/en/rest/authentication/permissions-required-for-github-apps
"""
_IP_PAGE = "managing-allowed-ip-addresses"
"""The page of GitHub's documentation that a refusal by an IP allow list points to."""
_LIMIT_PAGE = "secondary-rate-limits"
"""And the one that a secondary limit's does, where it names no time to wait."""

_ADVICE = {
    400: "Is github.api_url the address of GitHub's REST API, and does that server know the API version in use?",
    401: (
        "GitHub does not know this App: see that github.app_id and github.private_key belong together, "
        "and that this machine's clock is right."
    ),
    403: (
        "The App may not do this: grant it the permissions that app.yml names, have the owner accept them, "
        "and see that no IP allow list is in the way."
    ),
    404: (
        "GitHub shows no such thing to this App: is it still installed for this repository, "
        "and is the repository still there?"
    ),
    422: "GitHub does not accept the values of this request.",
}


_NOT_FOR_WANT_OF_PERMISSION = (
    "The App has the permission for it, so something else forbids it: the policy of the organization or enterprise "
    "(Settings → Actions → General: may this repository use Actions, and runners of its own?), or an IP allow list."
)


class NotInstalled(Refused):
    """GitHub knows no installation of this id: the App was removed there, or removed and installed anew under another."""

    def __init__(self, installation_id: int) -> None:
        super().__init__(
            Reason.GITHUB_REFUSED,
            f"GitHub knows no installation {installation_id} of this App. Install the App for the account again; "
            "if it is installed, see that github.app_id is that App's.",
        )


def failure(
    error: GitHubException | ValueError, doing: str, granted: Mapping[str, str] | None = None
) -> Refused | Unavailable:
    """What to raise for `error`, met while `doing` something (`registering a runner`).

    `granted`: the permissions of the token in use; none if it was the App itself that called.
    A ValueError is githubkit's way to say that a header of a rate limit is no number.
    """
    match error:
        case RateLimitExceeded():
            return slowed(error, doing, max(0.0, error.retry_after.total_seconds()))
        case RequestTimeout():
            return unanswered(doing, "no answer in time")
        case RequestFailed():
            return _by_status(error, doing, granted)
        case _:
            cause = error.__cause__
            return unanswered(doing, type(cause or error).__name__)


def unanswered(doing: str, why: str) -> Unavailable:
    message = (
        f"GitHub did not answer while {doing} ({why}): "
        "see https://www.githubstatus.com, and whether this machine reaches github.api_url."
    )
    return Unavailable(Reason.GITHUB_UNAVAILABLE, message)


def suspended(installation: InstallationAnswer, web: str) -> Unavailable:
    """Whoever suspended it can lift that while the job still waits: so it is asked again, and seldom."""
    account = installation.account
    login = (account.login if account else None) or "the account"
    page = installation_page(
        web, installation.id, login, organization=account is not None and account.is_organization
    )
    message = f"The App's installation for {login} is suspended: lift the suspension at {page}."
    return Unavailable(Reason.GITHUB_REFUSED, message, retry_after=_PARKED_SECONDS)


@dataclass(frozen=True, slots=True)
class Slowdown:
    """GitHub's word that too much was called. `seconds` of none: it names no time."""

    primary: bool
    """Whether an hour's budget is used up, which the answer's headers tell too; else it was too much at once."""
    seconds: float | None


def slowdown(error: RequestFailed) -> Slowdown | None:
    """None: the call was refused for another reason."""
    if isinstance(error, RateLimitExceeded):
        seconds = max(0.0, error.retry_after.total_seconds())
        return Slowdown(isinstance(error, PrimaryRateLimitExceeded), seconds)
    status, said = error.response.status_code, _said(error)
    by_page = status == 403 and said is not None and _LIMIT_PAGE in said.documentation_url
    return Slowdown(primary=False, seconds=None) if status == 429 or by_page else None


def slowed(error: RequestFailed, doing: str, seconds: float) -> Unavailable:
    """`seconds`: until the call may be repeated, which has had no effect."""
    limit = error.response.headers.get("x-ratelimit-limit")
    resource = error.response.headers.get("x-ratelimit-resource")
    which = f" ({limit} an hour for {resource})" if limit and resource else ""
    message = f"GitHub's rate limit{which} was reached while {doing}; it is lifted in {seconds:.0f} s."
    return Unavailable(Reason.GITHUB_UNAVAILABLE, message, retry_after=seconds)


def _by_status(error: RequestFailed, doing: str, granted: Mapping[str, str] | None) -> Refused | Unavailable:
    status = error.response.status_code
    said = _said(error)
    if status >= 500 or status == 429:
        return Unavailable(
            Reason.GITHUB_UNAVAILABLE, f"GitHub answered {status} while {doing}{_quote(said)}."
        )
    advice = _forbidden(error, said, granted) if status == 403 else _ADVICE.get(status, "")
    return Refused(
        Reason.GITHUB_REFUSED, f"GitHub answered {status} while {doing}{_quote(said)}. {advice}".strip()
    )


def _forbidden(error: RequestFailed, said: ErrorAnswer | None, granted: Mapping[str, str] | None) -> str:
    if said is not None and _IP_PAGE in said.documentation_url:
        return (
            "An IP allow list of the organization or enterprise keeps this machine out: add the address with which it "
            "reaches GitHub under Settings → Authentication security → IP allow list."
        )
    accepted = error.response.headers.get(_PERMISSIONS_HEADER)
    if accepted is None or granted is None:
        return _ADVICE[403]
    lacking = missing(accepted, granted)
    if lacking:
        return (
            f"The App lacks the permission {titled(lacking)}: grant it in the App's settings under "
            "Permissions & events, and have the account accept it on its page of the installed App."
        )
    return _NOT_FOR_WANT_OF_PERMISSION


def _said(error: RequestFailed) -> ErrorAnswer | None:
    try:
        return ErrorAnswer.model_validate_json(error.response.content)
    except ValidationError:
        return None


def _quote(said: ErrorAnswer | None) -> str:
    return "" if said is None else f': "{said.message[:_QUOTED].rstrip(".")}"'
