"""What is asked all the time reads an index, however many jobs wait, and for whatever: each database says so itself."""

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, event, select, text

from chaser.ids import JobId, KeyId
from chaser.jobs.ports import Full
from chaser.jobs.reason import Reason
from chaser.store.store import Store
from chaser.store.tables import jobs, turns
from tests.rows import ENGINE, SEAT, START, WORKER, enqueued, new_job

MANY = 20_000
SECOND = timedelta(seconds=1)
BUSY = Full(keys=frozenset({KeyId("key_x")}), profiles=frozenset({"x"}))

WAITING: dict[str, dict[str, Any]] = {
    "for a slot": {"queue_until": START + timedelta(days=1)},
    "for their time": {"run_at": START + timedelta(days=1)},
    "for one key": {"concurrency_key": "deploy"},
    "for their turn": {"lane": "acme/a", "tenant": "acme"},
}


async def crowd(store: Store, **changes: Any) -> None:  # noqa: ANN401  # fields of NewJob
    """So many jobs, copies of the second of two of that sort."""
    await enqueued(store.jobs, **changes)
    second = await enqueued(store.jobs, **changes)
    await store.database.write(lambda connection: _copy(connection, second.id))


def _copy(connection: Connection, job_id: JobId) -> None:
    numbers = f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})"
    for table, own in (
        (jobs, {"id": "id || '_' || i"}),
        (turns, {"job_id": "job_id || '_' || i", "number": "number + i"}),
    ):
        names = ", ".join(column.name for column in table.c)
        values = ", ".join(own.get(column.name, column.name) for column in table.c)
        where = "id = :id" if table is jobs else "job_id = :id"
        copy = (
            f"{numbers} INSERT INTO {table.name} ({names}) SELECT {values} FROM {table.name}, n WHERE {where}"
        )
        connection.execute(text(copy), {"id": job_id})
    if connection.dialect.name == "postgresql":
        # As its autovacuum does by itself; on SQLite nobody does.
        connection.execute(text("ANALYZE"))


@dataclass(frozen=True)
class Asked:
    statement: str
    parameters: Any


@contextmanager
def listening(store: Store) -> Generator[list[Asked]]:
    """The statements that go to the database meanwhile."""
    asked: list[Asked] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:  # noqa: ANN401
        if not statement.startswith(("BEGIN", "PRAGMA", "SELECT set_config", "SELECT pg_")):
            asked.append(Asked(statement, parameters))

    engines = {store.database.engines.writing, store.database.engines.reading}
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)


Ask = Callable[[Store], Awaitable[object]]
ASKED: dict[str, Ask] = {
    "claim": lambda store: store.jobs.claim(WORKER, START, Full()),
    "claim beside what is full": lambda store: store.jobs.claim(WORKER, START, BUSY),
    "enqueue": lambda store: store.jobs.enqueue(new_job(idempotency_key=str(uuid4()), fingerprint="f")),
    "enqueue behind the others": lambda store: store.jobs.enqueue(new_job(concurrency_key="deploy")),
    "enqueue in a lane": lambda store: store.jobs.enqueue(new_job(lane="acme/a", tenant="acme")),
    "enqueue in another lane": lambda store: store.jobs.enqueue(new_job(lane="acme/b", tenant="acme")),
    "expire": lambda store: store.jobs.expire(START),
    "promote": lambda store: store.jobs.promote(START),
    "next_due": lambda store: store.jobs.next_due(START),
    "heartbeat": lambda store: store.jobs.heartbeat(WORKER, START),
    "left_behind": lambda store: store.jobs.left_behind(ENGINE, START),
    "out_of_reach": lambda store: store.jobs.out_of_reach(ENGINE, START, START),
    "unleashed": lambda store: store.jobs.unleashed(START),
    "sandboxes_left": lambda store: store.jobs.sandboxes_left(ENGINE, START),
}


@pytest.mark.parametrize("waiting", WAITING.values(), ids=WAITING)
async def test_what_is_asked_costs_no_more_among_many(store: Store, waiting: dict[str, Any]) -> None:
    await store.jobs.join(WORKER, SEAT, START)
    for n in range(6):
        await enqueued(store.jobs, START - SECOND, concurrency_key="deploy" if n % 2 else None)
    few = await costs(store)

    await crowd(store, **waiting)

    many = await costs(store)
    dear = {name: (few[name], cost) for name, cost in many.items() if cost > 1.5 * few[name] + _slack(store)}
    assert dear == {}


async def test_a_claim_reads_the_queue_in_its_order(store: Store) -> None:
    """Whatever the jobs wait for."""
    for waiting in WAITING.values():
        await crowd(store, **waiting)

    for full, most in ((Full(), 1), (Full(), 4), (BUSY, 1)):
        with listening(store) as asked:
            await store.jobs.claim(WORKER, START, full, most)
        steps = await plans(store, asked)

        assert [step for step in steps if "ix_jobs_claim" in step], steps
        if most > 1:
            # The few keys there are, of which one may have a cap, are read through.
            steps = [step for step in steps if not step.startswith("Seq Scan on api_keys")]
        assert [step for step in steps if "Sort" in step or "Seq Scan" in step or "TEMP B-TREE" in step] == []


async def test_a_claim_of_four_among_many_costs_no_more_than_so_many_claims(store: Store) -> None:
    for _ in range(8):
        await enqueued(store.jobs, START - SECOND)
    await crowd(store, **WAITING["for a slot"])

    one = await cost(store, lambda store: store.jobs.claim(WORKER, START))
    four = await cost(store, lambda store: store.jobs.claim(WORKER, START, most=4))

    # PostgreSQL's planner takes an array that it does not know to have ten elements.
    rows = 4 if store.database.engines.server is None else 10
    assert four <= rows * one + _slack(store)


async def test_a_claim_for_what_needs_no_sandbox_looks_at_no_job_that_does(store: Store) -> None:
    await crowd(store, profile="small")

    with listening(store) as asked:
        assert not await store.jobs.claim(WORKER, START, Full(slots=True))
    steps = await plans(store, asked)

    assert [step for step in steps if "ix_jobs_claim_unhoused" in step], steps


async def costs(store: Store) -> dict[str, int]:
    """What each of `ASKED` takes, and the end of the first in a line: steps of SQLite's machine, or what PostgreSQL's
    planner reckons with."""
    found = {name: await cost(store, ask) for name, ask in ASKED.items()}
    first = await store.database.read(
        lambda connection: connection.execute(
            select(turns.c.job_id).order_by(turns.c.number).limit(1)
        ).scalar_one()
    )
    found["the end of the first"] = await cost(
        store, lambda store: store.jobs.request_cancel(first, Reason.CANCELLED_BY_USER, START)
    )
    return found


def _slack(store: Store) -> int:
    """For trees of more levels. A look at each of `MANY` takes many times as much."""
    return 300 if store.database.engines.server is None else 30


async def cost(store: Store, ask: Ask) -> int:
    if store.database.engines.server is None:
        with machine_steps(store) as steps:
            await ask(store)
        return sum(steps)
    with listening(store) as asked:
        await ask(store)
    return round(sum(plan["Total Cost"] for plan in await reckoned(store, asked)))


@contextmanager
def machine_steps(store: Store) -> Generator[list[int]]:
    """One entry for each of those that SQLite takes meanwhile, on whatever connection."""
    steps: list[int] = []

    def watch(connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        driver.set_progress_handler(lambda: steps.append(1), 1)

    def leave(connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        driver.set_progress_handler(None, 1)

    moments = {"begin": watch, "commit": leave, "rollback": leave}
    engines = {store.database.engines.writing, store.database.engines.reading}
    for engine in engines:
        for name, do in moments.items():
            event.listen(engine, name, do)
    try:
        yield steps
    finally:
        for engine in engines:
            for name, do in moments.items():
                event.remove(engine, name, do)


async def reckoned(store: Store, asked: Sequence[Asked]) -> list[dict[str, Any]]:
    """PostgreSQL's plans."""

    def explain(connection: Connection) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for each in asked:
            plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {each.statement}", each.parameters)
            found += [part["Plan"] for part in plan.scalar_one()]
        return found

    return await store.database.write(explain)


async def plans(store: Store, asked: Sequence[Asked]) -> list[str]:
    """How the database goes about the statements, a step a line."""
    if store.database.engines.server is not None:
        return [step for plan in await reckoned(store, asked) for step in _steps(plan)]

    def explain(connection: Connection) -> list[str]:
        found: list[str] = []
        for each in asked:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {each.statement}", each.parameters)
            found += [row.detail for row in rows]
        return found

    return await store.database.write(explain)


def _steps(plan: dict[str, Any]) -> Generator[str]:
    yield f"{plan['Node Type']} on {plan.get('Relation Name', '')} {plan.get('Index Name', '')}"
    for part in plan.get("Plans", ()):
        yield from _steps(part)


async def test_the_latencies_of_a_period_are_found_by_its_time_however_many_jobs_there_were(
    store: Store,
) -> None:
    """/metrics asks for those of the last hour every few seconds."""
    with listening(store) as asked:
        await store.passages.begun(START, None, 10)

    steps = " ".join(await plans(store, asked))

    assert "ix_demands_state" not in steps
    # the server goes by how many rows there are, and there are none
    assert "ix_demands_changed_at" in steps or store.database.engines.server is not None
