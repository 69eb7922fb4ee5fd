"""What it costs to take the next job where a hundred thousand wait, beside a hundred."""

import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event

from bench.crowd import Crowd, gather
from bench.own import CLOCK, KEY, nothing
from bench.report import say
from chaser.ids import WorkerId, new_id
from chaser.jobs.job import Status, Verdict
from chaser.jobs.ports import Full
from chaser.store.engines import connect, sqlite_url
from chaser.store.store import Store, open_store
from tests.postgres import DURABLE, running_postgres
from tests.rows import first

FEW, MANY = 100, 100_000
ROUNDS = 300
SUCCEEDED = Verdict(Status.SUCCEEDED, None, None, {})
WORKER = WorkerId(new_id("wrk", CLOCK.now()))


def measure() -> None:
    """Two databases in turn, one with few jobs and one with many."""
    with databases() as makers:
        for database, make in makers.items():
            for crowd in Crowd:
                asyncio.run(_compare(f"{database}, {crowd}", crowd, make(), make()))


def plans() -> None:
    """How each database finds what it is asked for, with many jobs waiting."""
    with databases() as makers:
        for database, make in makers.items():
            for crowd in Crowd:
                print(f"\n{database}, {MANY} jobs {crowd}")
                asyncio.run(_explain(crowd, make()))


@contextmanager
def databases() -> Generator[Mapping[str, Callable[[], str]]]:
    """By name, what makes the URL of an empty one."""
    with running_postgres(DURABLE) as server, tempfile.TemporaryDirectory(prefix="chaser-bench-") as folder:
        numbers = itertools.count()
        yield {
            "SQLite": lambda: sqlite_url(Path(folder, f"{next(numbers)}.db")),
            "PostgreSQL": server.empty,
        }


async def _compare(what: str, crowd: Crowd, few_url: str, many_url: str) -> None:
    few, many = await _filled(few_url, crowd, FEW), await _filled(many_url, crowd, MANY)
    pairs = [(await _turn(few), await _turn(many)) for _ in range(ROUNDS)]
    for number, step in enumerate(STEPS):
        ours, theirs = (
            statistics.median(each[number] for each in column) * 1000 for column in zip(*pairs, strict=True)
        )
        say(
            f"{step}; {what}",
            f"{theirs:.2f} ms with {MANY}, {ours:.2f} ms with {FEW}",
            f"ratio {theirs / ours:.2f}" + (", at most 1.5" if step == "claim" else ""),
        )
    await few.close()
    await many.close()


async def _filled(url: str, crowd: Crowd, count: int) -> Store:
    store = await asyncio.to_thread(open_store, url, [KEY], CLOCK)
    await gather(store, url, crowd, count)
    return store


STEPS = ("claim", "  its end", "  what time does")


async def _turn(store: Store) -> tuple[float, ...]:
    """The seconds of each step; the queue is as long afterwards as before."""
    await store.jobs.enqueue(nothing())
    began = time.perf_counter()
    claim = first(await store.jobs.claim(WORKER, CLOCK.now(), Full()))
    claimed = time.perf_counter()
    assert claim is not None
    await store.jobs.finish(claim, SUCCEEDED, CLOCK.now())
    ended = time.perf_counter()
    await store.jobs.promote(CLOCK.now())
    await store.jobs.expire(CLOCK.now())
    await store.jobs.next_due(CLOCK.now())
    return claimed - began, ended - claimed, time.perf_counter() - ended


async def _explain(crowd: Crowd, url: str) -> None:
    store = await _filled(url, crowd, MANY)
    asked: list[tuple[str, Any]] = []

    def note(
        _connection: Connection, _cursor: object, statement: str, parameters: object, *_: object
    ) -> None:
        asked.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    await _turn(store)
    event.remove(Engine, "before_cursor_execute", note)
    await store.close()
    engines = connect(url)
    with engines.writing.connect() as connection:
        for statement, parameters in asked:
            if statement.startswith(("SELECT", "UPDATE", "WITH", "DELETE")):
                _show(connection, statement, parameters)
    engines.dispose()


def _show(connection: Connection, statement: str, parameters: Mapping[str, object]) -> None:
    print(f"\n  {' '.join(statement.split())[:150]}")
    how = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
    for row in connection.exec_driver_sql(f"{how} {statement}", parameters):
        print(f"    {row[-1]}")
