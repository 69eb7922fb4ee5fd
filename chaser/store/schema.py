"""The schema at start: read which revision the database has, bring it up to date, or refuse it.

Alembic costs some 11 MB and 0.15 s of processor time, so it is not imported where there is nothing to do.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from chaser.errors import ConfigError
from chaser.store.engines import Engines
from chaser.store.transactions import transact

HEAD = "0012"
"""The newest revision in `migrations/versions`; a test holds the two together."""

MIGRATIONS = Path(__file__).parent / "migrations"

_ADVISORY_LOCK = 0x63686173
"""Any number will do, so long as every Chaser takes the same."""


def prepare(engines: Engines) -> None:
    """Bring the database to `HEAD`, in one transaction that other starting processes wait for.

    Raises `ConfigError` if the database is newer.
    """
    with engines.alone():
        if transact(engines.writing, revision) != HEAD:
            with engines.unreferenced():
                transact(engines.writing, _bring_up)


def revision(connection: Connection) -> str | None:
    """The revision of the database; none if it has never been prepared."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _bring_up(connection: Connection) -> None:
    """SQLite's lock is the transaction's own (`BEGIN IMMEDIATE`)."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    found = revision(connection)
    if found != HEAD:
        _upgrade(connection, found)
        _check_references(connection)


def _check_references(connection: Connection) -> None:
    """What the migration was trusted with, `unreferenced` as it ran."""
    if connection.dialect.name == "sqlite":
        dangling = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        assert not dangling, dangling


def _upgrade(connection: Connection, found: str | None) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is None:
        _refuse_foreign(connection)
    elif found not in known:
        fault = (
            f"the database is at revision {found}, which this program does not know (its newest is {HEAD}):"
            " a newer Chaser has used it; start that version, or restore a backup from before it"
        )
        raise ConfigError((fault,))
    command.upgrade(config, HEAD)


def _refuse_foreign(connection: Connection) -> None:
    from chaser.store.tables import metadata

    taken = sorted(set(inspect(connection).get_table_names()) & set(metadata.tables))
    if taken:
        fault = (
            f"the database holds tables that Chaser did not make ({', '.join(taken)});"
            " give it a database of its own in CHASER_DATABASE_URL"
        )
        raise ConfigError((fault,))
