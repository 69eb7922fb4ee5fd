"""Deliveries, and the jobs that they ask for, on a database: `chaser.runners.inbox.Inbox`."""

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from chaser.ids import JobId
from chaser.jobs.job import NewJob
from chaser.runners.inbox import Decision, Delivery, Recorded, Repeated
from chaser.store.database import Database
from chaser.store.enqueue import enqueue
from chaser.store.sealing import Sealer
from chaser.store.tables import deliveries

_INSERT = {
    "sqlite": sqlite.insert(deliveries).on_conflict_do_nothing().returning(deliveries.c.guid),
    "postgresql": postgresql.insert(deliveries).on_conflict_do_nothing().returning(deliveries.c.guid),
}


class Deliveries:
    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def record(self, delivery: Delivery, new: NewJob | None) -> Recorded | Repeated:
        return await self._database.write(lambda connection: self._record(connection, delivery, new))

    def _record(self, connection: Connection, delivery: Delivery, new: NewJob | None) -> Recorded | Repeated:
        """The delivery first: its guid is the claim, and a rival with the same one waits here."""
        inserted = connection.execute(_INSERT[connection.dialect.name], _values(delivery)).one_or_none()
        if inserted is None:
            return _repeated(connection, delivery.guid)
        if new is None:
            return Recorded(job_id=None)
        job_id = enqueue(connection, self._sealer, new, self._database.moment(new.created_at)).job.id
        connection.execute(update(deliveries).where(deliveries.c.guid == delivery.guid).values(job_id=job_id))
        return Recorded(job_id)


def _repeated(connection: Connection, guid: str) -> Repeated:
    row = connection.execute(
        select(deliveries.c.decision, deliveries.c.job_id).where(deliveries.c.guid == guid)
    ).one()
    return Repeated(Decision(row.decision), None if row.job_id is None else JobId(row.job_id))


def _values(delivery: Delivery) -> dict[str, object]:
    return {
        "guid": delivery.guid,
        "event": delivery.event,
        "action": delivery.action,
        "received_at": delivery.received_at,
        "installation_id": delivery.installation_id,
        "repository": delivery.repository,
        "workflow_job_id": delivery.workflow_job_id,
        "decision": delivery.decision.value,
        "message": delivery.message,
    }
