"""The GitHub App, with its secrets sealed: `chaser.runners.app.Apps`."""

import json

from sqlalchemy import Connection, delete, insert, select

from chaser.runners.app import App
from chaser.secret import Secret
from chaser.store.database import Database
from chaser.store.sealing import Sealer
from chaser.store.tables import github_apps


class AppTable:
    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def get(self) -> App | None:
        return await self._database.read(self._get)

    async def keep(self, app: App) -> None:
        await self._database.write(lambda connection: self._keep(connection, app))

    def _get(self, connection: Connection) -> App | None:
        row = connection.execute(select(github_apps)).one_or_none()
        if row is None:
            return None
        secrets = json.loads(self._sealer.open(place(row.id), row.sealed))
        return App(
            app_id=row.id,
            slug=row.slug,
            owner=row.owner,
            page=row.page,
            private_key=Secret(secrets["private_key"]),
            webhook_secrets=tuple(Secret(each) for each in secrets["webhook_secrets"]),
            created_at=row.created_at,
        )

    def _keep(self, connection: Connection, app: App) -> None:
        """There is one App at a time: the row of an earlier one goes with the same transaction."""
        secrets = {
            "private_key": app.private_key.reveal(),
            "webhook_secrets": [each.reveal() for each in app.webhook_secrets],
        }
        connection.execute(delete(github_apps))
        connection.execute(
            insert(github_apps).values(
                slot=1,
                id=app.app_id,
                slug=app.slug,
                owner=app.owner,
                page=app.page,
                sealed=self._sealer.seal(place(app.app_id), json.dumps(secrets).encode()),
                created_at=app.created_at,
            )
        )


def place(app_id: str) -> str:
    """Where an App's secrets are sealed: the name that binds them to their row."""
    return f"github_apps/{app_id}"
