"""Deliveries, and what follows from them, on a database: `chaser.runners.inbox.Inbox`."""

from sqlalchemy import Connection, Text, bindparam, case, exists, select, update
from sqlalchemy.dialects import postgresql, sqlite

from chaser.clock import Clock
from chaser.ids import JobId
from chaser.runners.event import InstallationEvent
from chaser.runners.inbox import (
    Decision,
    Delivery,
    JobGone,
    JobNews,
    Learned,
    News,
    Recorded,
    Repeated,
)
from chaser.store.bookings import Bookings
from chaser.store.database import Database
from chaser.store.sealing import Sealer
from chaser.store.tables import deliveries, redeliveries

_asked_for = exists().where(redeliveries.c.guid == bindparam("of_guid"))
_told_as = bindparam("told_as", type_=Text())
_learned = case(
    (_told_as != Learned.WEBHOOK.value, _told_as),
    (_asked_for, Learned.REDELIVERY.value),
    else_=Learned.WEBHOOK.value,
)
_INSERT = {
    "sqlite": sqlite.insert(deliveries)
    .values(learned=_learned)
    .on_conflict_do_nothing()
    .returning(deliveries.c.learned),
    "postgresql": postgresql.insert(deliveries)
    .values(learned=_learned)
    .on_conflict_do_nothing()
    .returning(deliveries.c.learned),
}
_NAME = update(deliveries).where(deliveries.c.guid == bindparam("of_guid")).values(job_id=bindparam("of_job"))


class Deliveries:
    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    async def record(self, delivery: Delivery, news: News) -> Recorded | Repeated:
        # Most of what comes is not for us, and is one statement.
        write = self._database.write_alone if news is None else self._database.write
        return await write(lambda connection: self._record(connection, delivery, news))

    def _record(self, connection: Connection, delivery: Delivery, news: News) -> Recorded | Repeated:
        """The delivery first: its guid is the claim, and a rival with the same one waits here."""
        inserted = connection.execute(_INSERT[connection.dialect.name], _values(delivery)).one_or_none()
        if inserted is None:
            return _repeated(connection, delivery.guid)
        at = delivery.received_at
        learned = Learned(inserted.learned)
        books = Bookings(connection, self._sealer, self._clock, at, self._database.moment(at), learned)
        match news:
            case None:
                return Recorded(None)
            case InstallationEvent():
                return books.installation(news)
            case JobGone():
                return books.gone(news)
            case JobNews():
                booked = books.job(news)
                _name(connection, delivery, booked.job_id)
                return booked


def _name(connection: Connection, delivery: Delivery, job_id: JobId | None) -> None:
    if job_id is not None:
        connection.execute(_NAME, {"of_guid": delivery.guid, "of_job": job_id})


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
        "told_as": delivery.learned.value,
        "of_guid": delivery.guid,
    }
