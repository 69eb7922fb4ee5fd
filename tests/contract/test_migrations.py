"""A database that an earlier version has filled is brought up to date with everything in it."""

import asyncio

from sqlalchemy import Connection, text

from chaser.clock import ManualClock
from chaser.store import schema
from chaser.store.engines import Engines, connect
from chaser.store.sealing import SealingKey
from chaser.store.store import open_store
from chaser.store.transactions import transact

JOBS = [
    {"id": "job_1", "status": "queued", "attempt": 0, "worker": None, "sandbox": None, "ended": None},
    {"id": "job_2", "status": "starting", "attempt": 1, "worker": "run_1", "sandbox": "sbx_2", "ended": None},
    {"id": "job_3", "status": "succeeded", "attempt": 1, "worker": "run_1", "sandbox": None, "ended": 7},
]
TRANSITIONS = [
    {"id": "job_1", "seq": 1, "source": None, "target": "queued"},
    {"id": "job_2", "seq": 1, "source": None, "target": "queued"},
    {"id": "job_2", "seq": 2, "source": "queued", "target": "starting"},
    {"id": "job_3", "seq": 1, "source": None, "target": "queued"},
]


def fill(connection: Connection) -> None:
    """Rows as revision 0001 has them. A time is written as each database does."""
    sqlite = connection.dialect.name == "sqlite"
    moment = "CAST(:{} AS BIGINT)" if sqlite else "to_timestamp(CAST(:{} AS BIGINT))"
    connection.execute(
        text(
            "INSERT INTO jobs (id, kind, status, input, attempt, max_attempts, priority, worker, sandbox_id, created_at,"
            f" run_at, finished_at) VALUES (:id, 'sandbox.exec', :status, '{{}}', :attempt, 3, 0, :worker, :sandbox,"
            f" {moment.format('one')}, {moment.format('one')}, {moment.format('ended')})"
        ),
        [{**job, "one": 1} for job in JOBS],
    )
    at = moment.format("one")
    connection.execute(
        text(
            "INSERT INTO transitions (job_id, seq, at, attempt, from_status, to_status)"
            f" VALUES (:id, :seq, {at}, 0, :source, :target)"
        ),
        [{**line, "one": 1} for line in TRANSITIONS],
    )
    for statement in (
        (
            "INSERT INTO sandboxes (id, job_id, attempt, worker, engine_id, created_at)"
            f" VALUES ('sbx_2', 'job_2', 1, 'run_1', 'engine-a', {at})"
        ),
        f"INSERT INTO log_frames (job_id, seq, stream, at, skipped, data) VALUES ('job_3', 1, 'output', {at}, 0, :data)",
        (
            "INSERT INTO deliveries (guid, event, received_at, decision, job_id)"
            f" VALUES ('dlv_1', 'workflow_job', {at}, 'accepted', 'job_3')"
        ),
        (
            "INSERT INTO api_keys (id, name, public, digest, scopes, created_at, own_jobs)"
            f" VALUES ('key_1', 'first', 'public00', :digest, '[]', {at}, {'0' if sqlite else 'false'})"
        ),
    ):
        connection.execute(text(statement), {"one": 1, "data": b"abc", "digest": bytes(32)})


def at_first_revision(engines: Engines) -> None:
    def bring(connection: Connection) -> None:
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(schema.MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        fill(connection)

    transact(engines.writing, bring)


def test_rows_of_the_first_revision_are_kept(empty_url: str, sealing_key: SealingKey) -> None:
    engines = connect(empty_url)
    try:
        at_first_revision(engines)

        asyncio.run(open_store(empty_url, [sealing_key], ManualClock()).close())

        def rows(statement: str) -> list[tuple[object, ...]]:
            return transact(
                engines.writing,
                lambda connection: [tuple(row) for row in connection.execute(text(statement))],
            )

        assert rows("SELECT id, status, attempt, ready, behind, history, retries FROM jobs ORDER BY id") == [
            ("job_1", "queued", 0, False, 0, 1, 0),
            ("job_2", "starting", 1, False, 0, 2, 0),
            ("job_3", "succeeded", 1, False, 0, 1, 0),
        ]
        assert rows("SELECT count(*) FROM jobs WHERE queued_at = created_at") == [(3,)]
        assert rows("SELECT count(*) FROM transitions") == [(4,)]
        assert rows("SELECT id, job_id, terms FROM sandboxes") == [("sbx_2", "job_2", None)]
        assert rows("SELECT job_id, seq, data, step, attempt FROM log_frames") == [("job_3", 1, b"abc", 0, 1)]
        assert rows("SELECT guid, job_id FROM deliveries") == [("dlv_1", "job_3")]
        assert rows("SELECT id, workspace_prefix FROM api_keys") == [("key_1", None)]
    finally:
        engines.dispose()


def test_references_hold_after_a_table_was_rebuilt(empty_url: str, sealing_key: SealingKey) -> None:
    engines = connect(empty_url)
    try:
        at_first_revision(engines)
        schema.prepare(engines)

        transact(
            engines.writing,
            lambda connection: connection.execute(text("DELETE FROM jobs WHERE id = 'job_3'")),
        )

        left = transact(
            engines.writing,
            lambda connection: [
                connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
                for table in ("jobs", "transitions", "sandboxes", "log_frames")
            ],
        )
        assert left == [2, 3, 1, 0]
    finally:
        engines.dispose()
