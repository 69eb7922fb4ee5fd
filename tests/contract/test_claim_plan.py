"""How each database finds the next job: by the index that has the order, however many wait."""

from collections.abc import Mapping

from sqlalchemy import Connection, Engine, event

from chaser.jobs.ports import Full
from chaser.store.store import Store
from tests.rows import START, WORKER, new_job

WAITING = 4000
"""More than PostgreSQL, before it has counted them, would rather follow the index through than sort."""


async def test_a_claim_takes_the_first_by_its_index(store: Store) -> None:
    await store.jobs.enqueue_all([new_job() for _ in range(WAITING)])
    plan: list[str] = []

    def explain(
        connection: Connection, _cursor: object, statement: str, parameters: Mapping[str, object], *_: object
    ) -> None:
        if "ORDER BY jobs.priority DESC" in statement and not statement.startswith("EXPLAIN"):
            how = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
            plan.extend(row[-1] for row in connection.exec_driver_sql(f"{how} {statement}", parameters))

    event.listen(Engine, "before_cursor_execute", explain)
    try:
        assert await store.jobs.claim(WORKER, START, Full())
    finally:
        event.remove(Engine, "before_cursor_execute", explain)

    assert any("ix_jobs_claim" in line for line in plan), plan
    assert not any("Sort" in line or "B-TREE" in line for line in plan), plan
