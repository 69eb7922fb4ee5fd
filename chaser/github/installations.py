"""Calls as the installation that serves an owner, also when the App was removed there and installed anew since."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar
from urllib.parse import quote

from chaser.errors import Refused
from chaser.github.answers import InstallationAnswer
from chaser.github.budget import Urgency
from chaser.github.client import AppClient, Token
from chaser.github.failures import NotInstalled
from chaser.github.wire import Answer, read
from chaser.jobs.reason import Reason
from chaser.runners.registration import Owner

T = TypeVar("T")


class Installations:
    """A delivery names an installation. When GitHub no longer knows it, the repository is asked for its present one."""

    def __init__(self, client: AppClient) -> None:
        self._client = client
        self._moved: dict[int, int] = {}

    async def token(self, owner: Owner) -> Token:
        return await self._for(owner, self._client.token)

    async def call(
        self,
        owner: Owner,
        method: str,
        path: str,
        *,
        doing: str,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        meaningful: frozenset[int] = frozenset(),
        urgency: Urgency = Urgency.SWEEP,
        etag: str | None = None,
    ) -> Answer:
        return await self._for(
            owner,
            lambda installation_id: self._client.call(
                installation_id,
                method,
                path,
                doing=doing,
                params=params,
                body=body,
                meaningful=meaningful,
                urgency=urgency,
                etag=etag,
            ),
        )

    async def _for(self, owner: Owner, work: Callable[[int], Awaitable[T]]) -> T:
        """`NotInstalled` comes of the token, so `work` has had no effect then."""
        known = self._moved.get(owner.installation_id, owner.installation_id)
        try:
            return await work(known)
        except NotInstalled:
            self._moved[owner.installation_id] = present = await self._present(owner)
            return await work(present)

    async def _present(self, owner: Owner) -> int:
        doing = f"looking for the App's installation for {owner.repository}"
        path = f"/repos/{quote(owner.repository)}/installation"
        answer = await self._client.call_as_app(
            "GET", path, doing=doing, meaningful=frozenset({404}), urgency=Urgency.MINT
        )
        if answer.status == 404:
            message = (
                f"The App is not installed for {owner.repository}: install it for the account, and for this repository, "
                f"from the App's page at {self._client.web_url} (Install App)."
            )
            raise Refused(Reason.GITHUB_REFUSED, message)
        return read(InstallationAnswer, answer, doing).id
