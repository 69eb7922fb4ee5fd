"""Where people look at GitHub: the pages that messages send them to."""

from urllib.parse import quote, urlsplit

_API_PATH = "/api/v3"
"""Below which an Enterprise Server has its API."""


def web_url(api_url: str) -> str:
    """The web pages' address of the GitHub whose API this is: github.com, a GHE.com subdomain, or an Enterprise Server."""
    parts = urlsplit(api_url)
    host = parts.netloc.removeprefix("api.")
    return f"{parts.scheme}://{host}{parts.path.rstrip('/').removesuffix(_API_PATH)}"


def new_app_page(web: str, organization: str | None) -> str:
    """Where a manifest is posted to."""
    account = "" if organization is None else f"/organizations/{quote(organization, safe='')}"
    return f"{web}{account}/settings/apps/new"


def app_page(web: str, slug: str, owner: str, *, organization: bool) -> str:
    """Where the App's owner changes its settings."""
    account = f"/organizations/{quote(owner, safe='')}" if organization else ""
    return f"{web}{account}/settings/apps/{quote(slug, safe='')}"


def installation_page(web: str, installation_id: int, account: str, *, organization: bool) -> str:
    """Where the account that installed the App accepts permissions, chooses repositories, or suspends it."""
    settings = f"/organizations/{quote(account, safe='')}/settings" if organization else "/settings"
    return f"{web}{settings}/installations/{installation_id}"
