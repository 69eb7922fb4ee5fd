"""What a person asks for in the setup page's form, and what is wrong with it."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from chaser.runners.app import Account, Wanted

LONGEST_NAME = 34
"""GitHub's limit, in characters."""
FIELDS = ("account", "organization", "name", "public_url")
_LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})")
"""https://docs.github.com/en/enterprise-cloud@latest/admin/managing-iam/iam-configuration-reference/username-considerations-for-external-authentication"""


def fields(body: bytes) -> dict[str, str]:
    """The form's own fields, each without space around it; the last of several with one name."""
    given = dict(parse_qsl(body.decode("utf-8", "replace")))
    return {name: given.get(name, "").strip() for name in FIELDS}


def read(values: Mapping[str, str], *, redirect_url: str, setup_url: str) -> Wanted | tuple[str, ...]:
    """The App that is wanted; or every fault, as a sentence each."""
    organization = values["organization"] if values["account"] == Account.ORGANIZATION else None
    faults = [*_account_faults(values["account"], organization), *_name_faults(values["name"])]
    public_url = values["public_url"].rstrip("/")
    if not _is_address(public_url):
        faults.append("The service's address must be a URL such as https://chaser.example.com.")
    if faults:
        return tuple(faults)
    return Wanted(values["name"], organization, public_url, redirect_url, setup_url)


def suggested_name(host: str) -> str:
    """A name that is probably free at GitHub."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", host).strip("-")
    return f"chaser-{plain}"[:LONGEST_NAME].rstrip("-")


def _account_faults(account: str, organization: str | None) -> list[str]:
    if account not in set(Account):
        return ["Say whose jobs are to run here."]
    if organization is not None and _LOGIN.fullmatch(organization) is None:
        return [
            "Give the organization's name as it stands in GitHub's addresses: letters, digits and hyphens."
        ]
    return []


def _name_faults(name: str) -> list[str]:
    if 0 < len(name) <= LONGEST_NAME and name.isprintable():
        return []
    return [f"The App needs a name of at most {LONGEST_NAME} characters."]


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    plain = not (parts.query or parts.fragment or parts.username or parts.password)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and plain and url.isprintable()
