"""The schema at start: read which revision the database has, bring it up to date, or refuse it.

Alembic costs some 11 MB and 0.15 s of processor time, so it is not imported where there is nothing to do.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from chaser.errors import ConfigError

HEAD = "0001"
"""The newest revision in `migrations/versions`; a test holds the two together."""

MIGRATIONS = Path(__file__).parent / "migrations"

_ADVISORY_LOCK = 0x63686173
"""Any number will do, so long as every Chaser takes the same."""


def prepare(connection: Connection) -> None:
    """Bring the database to `HEAD`, in one transaction under a lock that other starting processes wait for.

    SQLite's lock is the transaction's own (`BEGIN IMMEDIATE`). Raises `ConfigError` if the database is newer.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    found = revision(connection)
    if found != HEAD:
        _upgrade(connection, found)


def current(connection: Connection) -> bool:
    """Whether there is nothing to do; asked before any lock is taken."""
    return revision(connection) == HEAD


def revision(connection: Connection) -> str | None:
    """The revision of the database; none if it has never been prepared."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


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
