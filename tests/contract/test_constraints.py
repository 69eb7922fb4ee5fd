"""The database itself refuses what cannot be, whatever the program does; and everything that says so agrees."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Inspector, insert, inspect, text, update
from sqlalchemy.exc import IntegrityError

from chaser.jobs.job import TRANSITIONS, Status
from chaser.jobs.reason import Reason
from chaser.runners import demand
from chaser.store.engines import connect
from chaser.store.job_tables import transition_check
from chaser.store.schema import prepare
from chaser.store.store import Store
from chaser.store.tables import demands, jobs, metadata, sandboxes, transitions
from chaser.store.transactions import transact
from tests.rows import START, claimed, enqueued, sandbox_of
from tests.workflow_jobs import tell, told

STATES_PAGE = Path(__file__).parents[2] / "docs" / "states.md"

ENDED: Mapping[str, object] = {"status": "succeeded", "finished_at": START, "attempt": 1}
ILLEGAL: dict[str, Mapping[str, object]] = {
    "an unknown status": {"status": "paused"},
    "an end without its time": {**ENDED, "finished_at": None},
    "a time of an end that has not come": {"finished_at": START},
    "a failure without a reason": {**ENDED, "status": "failed"},
    "a cancel without a reason": {**ENDED, "status": "cancelled"},
    "a success with a reason": {**ENDED, "reason": "nonzero_exit"},
    "a reason before the end": {"reason": "host_lost"},
    "a result before the end": {"result": {"exit_code": 0}},
    "a start without an attempt": {"status": "starting", "worker": "run_1"},
    "a start without a worker": {"status": "starting", "attempt": 1},
    "a run that has not begun": {"status": "running", "attempt": 1, "worker": "run_1"},
    "more attempts than allowed": {**ENDED, "attempt": 4},
    "a negative attempt": {"attempt": -1},
    "a wait without attempts left": {"attempt": 3},
    "a wait with a worker": {"worker": "run_1"},
    "a wait with a sandbox": {"attempt": 1, "sandbox_id": "sbx_1"},
    "a wait that was handed over": {"attempt": 1, "handed_over_at": START},
    "a hand-over before any attempt": {**ENDED, "attempt": 0, "handed_over_at": START},
    "a priority beyond the bounds": {"priority": 101},
    "a key without a fingerprint": {"idempotency_key": "k", "sealed": None},
    "no input": {"input": None},
}


@pytest.mark.parametrize("change", ILLEGAL.values(), ids=ILLEGAL)
async def test_an_illegal_job_cannot_be_stored(store: Store, change: Mapping[str, object]) -> None:
    job = await enqueued(store.jobs)

    with pytest.raises(IntegrityError):
        await store.database.write(
            lambda connection: connection.execute(update(jobs).where(jobs.c.id == job.id).values(**change))
        )


async def test_a_step_is_recorded_if_the_table_of_transitions_has_it(store: Store) -> None:
    """All pairs of states, and the beginning, against `TRANSITIONS`."""
    job = await enqueued(store.jobs)
    steps = [(None, target) for target in Status]
    steps += [(source, target) for source in Status for target in Status]

    accepted = [step for step in steps if await _accepted(store, job.id, *step)]

    legal = [(None, Status.QUEUED), *((source, to) for source in Status for to in TRANSITIONS[source])]
    assert sorted(map(str, accepted)) == sorted(map(str, legal))


async def _accepted(store: Store, job_id: str, source: Status | None, target: Status) -> bool:
    class Undo(Exception):
        """So that the next step finds the table as it was."""

    def attempt(connection: Connection) -> None:
        line = {"job_id": job_id, "seq": 2, "at": START, "attempt": 0, "to_status": target.value}
        connection.execute(insert(transitions).values(from_status=source and source.value, **line))
        raise Undo

    try:
        await store.database.write(attempt)
    except Undo:
        return True
    except IntegrityError:
        return False
    raise AssertionError


async def test_a_job_has_one_sandbox_that_is_not_gone(store: Store) -> None:
    await enqueued(store.jobs)
    claim = await claimed(store.jobs)
    row = sandbox_of(claim)
    await store.jobs.name_sandbox(claim, row)
    second = {"id": "sbx_other", "job_id": row.job_id, "attempt": 1, "worker": "w", "engine_id": "e"}

    def add(connection: Connection) -> None:
        connection.execute(insert(sandboxes).values(created_at=START, **second))

    with pytest.raises(IntegrityError):
        await store.database.write(add)
    await store.jobs.sandbox_gone(row.id, START)
    await store.database.write(add)


async def test_a_line_of_history_needs_its_job(store: Store) -> None:
    """Foreign keys are on."""
    line = {"job_id": "job_none", "seq": 1, "at": START, "attempt": 0, "to_status": "queued"}

    with pytest.raises(IntegrityError):
        await store.database.write(lambda connection: connection.execute(insert(transitions).values(**line)))


def test_migrations_make_what_the_models_say(empty_url: str, other_empty_url: str) -> None:
    """Two databases, one made by each, are looked at through the database's own eyes, CHECKs included."""
    migrated, modelled = connect(empty_url), connect(other_empty_url)
    try:
        prepare(migrated)
        transact(modelled.writing, metadata.create_all)

        assert _shape(migrated.writing) == _shape(modelled.writing)
    finally:
        migrated.dispose()
        modelled.dispose()


def test_alembic_finds_nothing_to_migrate(empty_url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    engines = connect(empty_url)
    try:
        prepare(engines)
        with engines.writing.begin() as connection:
            differences = compare_metadata(MigrationContext.configure(connection), metadata)
    finally:
        engines.dispose()

    assert differences == []


def test_the_newest_revision_is_the_one_the_program_asks_for() -> None:
    from alembic.script import ScriptDirectory

    from chaser.store.schema import HEAD, MIGRATIONS

    assert ScriptDirectory(MIGRATIONS).get_heads() == [HEAD]


def _shape(engine: Engine) -> dict[str, Any]:
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            # Compiling each of these many questions takes PostgreSQL far longer than answering it.
            connection.execute(text("SET jit = off"))
        return _seen(inspect(connection))


def _seen(found: Inspector) -> dict[str, Any]:
    return {
        name: {
            "columns": {column["name"]: _column({**column}) for column in found.get_columns(name)},
            "primary": found.get_pk_constraint(name),
            "checks": {check["name"]: check["sqltext"] for check in found.get_check_constraints(name)},
            "foreign": {key["name"]: key for key in found.get_foreign_keys(name)},
            "unique": {key["name"]: key["column_names"] for key in found.get_unique_constraints(name)},
            "indexes": {index["name"]: _index({**index}) for index in found.get_indexes(name)},
        }
        for name in found.get_table_names()
        if name != "alembic_version"
    }


def _index(index: Mapping[str, Any]) -> Mapping[str, object]:
    options = {key: str(value) for key, value in index.get("dialect_options", {}).items()}
    return {**index, "dialect_options": options}


def _column(column: Mapping[str, Any]) -> tuple[object, ...]:
    kind = column["type"]
    return str(kind), getattr(kind, "timezone", None), kind.__dict__.get("collation"), column["nullable"]


def test_the_diagram_draws_the_table_of_transitions() -> None:
    page = STATES_PAGE.read_text()
    diagram = page.split("```mermaid")[1].split("```")[0]
    arrows = re.findall(r"^\s*(\S+) --> (\S+)", diagram, re.MULTILINE)

    steps = {("[*]", "queued")}
    steps |= {(source.value, target.value) for source, targets in TRANSITIONS.items() for target in targets}
    steps |= {(status.value, "[*]") for status in Status if status.ended}
    assert sorted(arrows) == sorted(steps)


def test_the_constraint_spells_out_the_table_of_transitions() -> None:
    quoted = re.findall(r"'(\w+) (\w+)'", transition_check())

    steps = {(source.value, target.value) for source, targets in TRANSITIONS.items() for target in targets}
    assert set(quoted) == steps | {("none", "queued")}


def test_the_page_says_what_a_demand_may_become() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([^|]*)\|$", STATES_PAGE.read_text(), re.MULTILINE)
    written = {
        state: set(re.findall(r"`(\w+)`", steps)) for state, steps in rows if state in set(demand.State)
    }

    assert written == {
        state.value: {target.value for target in targets} for state, targets in demand.TRANSITIONS.items()
    }


ILLEGAL_DEMANDS: dict[str, Mapping[str, object]] = {
    "an unknown state": {"state": "lost"},
    "an unknown decision": {"decision": "perhaps"},
    "a runner that is owed to nobody of ours": {"decision": "not_ours"},
    "an end with a runner that has none": {"state": "done", "action": "completed"},
    "an end that was not told": {"state": "done", "runner_name": "x"},
    "less than no runners": {"runners": -1},
    "a job that there is not": {"job_id": "job_none"},
}


@pytest.mark.parametrize("change", ILLEGAL_DEMANDS.values(), ids=ILLEGAL_DEMANDS)
async def test_an_illegal_demand_cannot_be_stored(store: Store, change: Mapping[str, object]) -> None:
    await tell(store, told())

    with pytest.raises(IntegrityError):
        await store.database.write(lambda connection: connection.execute(update(demands).values(**change)))


async def test_a_job_serves_one_demand(store: Store) -> None:
    await tell(store, told(job_id=1))
    taken = await tell(store, told(job_id=2))

    with pytest.raises(IntegrityError):
        await store.database.write(
            lambda connection: connection.execute(update(demands).values(job_id=taken.job_id))
        )


def test_the_page_names_every_state_and_reason() -> None:
    page = STATES_PAGE.read_text()

    missing = [value for value in (*Status, *Reason) if f"`{value.value}`" not in page]
    assert missing == []
