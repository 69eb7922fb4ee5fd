"""A queue with many jobs waiting. The first of a kind are written as they are by the service; the rest are copies."""

from dataclasses import replace
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import Connection, Table, text

from bench.own import nothing
from chaser.ids import JobId
from chaser.jobs.job import NewJob
from chaser.store.engines import connect
from chaser.store.store import Store
from chaser.store.tables import jobs, transitions, turns


class Crowd(StrEnum):
    READY = "ready"
    LATER = "due tomorrow"
    LINE = "behind one key"


def _one(crowd: Crowd) -> NewJob:
    new = nothing()
    match crowd:
        case Crowd.READY:
            return new
        case Crowd.LATER:
            return replace(new, run_at=new.created_at + timedelta(days=1))
        case Crowd.LINE:
            return replace(new, concurrency_key="line")


async def gather(store: Store, url: str, crowd: Crowd, count: int) -> None:
    """`count` jobs and one or two more, besides a hundred that are ready in any case."""
    for _ in range(100):
        await store.jobs.enqueue(nothing())
    await store.jobs.enqueue(_one(crowd))
    last = _one(crowd)
    await store.jobs.enqueue(last)
    engines = connect(url)
    with engines.writing.begin() as connection:
        for table, key in ((jobs, "id"), (transitions, "job_id"), (turns, "job_id")):
            _copy(connection, table, key, last.id, count)
    if engines.writing.dialect.name == "postgresql":
        with engines.writing.begin() as connection:
            # As the server does by itself within a minute.
            connection.execute(text("ANALYZE"))
    engines.dispose()


def _copy(connection: Connection, table: Table, key: str, job_id: JobId, count: int) -> None:
    changed = {key: f"{key} || '-' || CAST(i AS text)", "number": "number + i"}
    columns = [column.name for column in table.columns]
    connection.execute(
        text(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)"
            f" INSERT INTO {table.name} ({', '.join(columns)})"
            f" SELECT {', '.join(changed.get(name, name) for name in columns)}"
            f" FROM {table.name} CROSS JOIN n WHERE {key} = :job_id"
        ),
        {"count": count, "job_id": job_id},
    )
