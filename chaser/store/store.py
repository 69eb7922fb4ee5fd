"""The store as a whole: opened once, at start, and closed by whoever opened it."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from chaser.clock import Clock
from chaser.ids import InstanceId
from chaser.jobs.notices import Notices
from chaser.runners.latency import Passages
from chaser.runners.ports import Demands, Installations, Looks, Screenings
from chaser.store import schema
from chaser.store.apps import AppTable
from chaser.store.artifacts import ArtifactTable
from chaser.store.database import Database
from chaser.store.demands import DemandTable
from chaser.store.engines import connect
from chaser.store.inbox import Deliveries
from chaser.store.installations import InstallationTable
from chaser.store.instance import get_or_create
from chaser.store.jobs import Jobs
from chaser.store.keys import Keys
from chaser.store.logs import Logs
from chaser.store.looks import LookTable
from chaser.store.notices import notices_of
from chaser.store.passages import PassageTables
from chaser.store.passes import PassTable
from chaser.store.pulled_images import PulledImageTable
from chaser.store.renewals import RenewalTable
from chaser.store.reseal import reseal
from chaser.store.retention import RetentionTables
from chaser.store.screenings import ScreeningTables
from chaser.store.sealing import Sealer, SealingKey
from chaser.store.tallies import Tallies
from chaser.store.transactions import transact
from chaser.store.uploads import UploadTable
from chaser.store.wards import WardTable
from chaser.store.workspaces import Workspaces


@dataclass(frozen=True, slots=True)
class Store:
    database: Database
    sealer: Sealer
    instance_id: InstanceId
    jobs: Jobs
    logs: Logs
    keys: Keys
    inbox: Deliveries
    demands: Demands
    runners: WardTable
    renewals: RenewalTable
    screenings: Screenings
    installations: Installations
    looks: Looks
    apps: AppTable
    passes: PassTable
    uploads: UploadTable
    artifacts: ArtifactTable
    retention: RetentionTables
    workspaces: Workspaces
    notices: Notices
    tallies: Tallies
    passages: Passages
    pulled_images: PulledImageTable

    async def ping(self) -> None:
        """Raises `Unavailable` if the database does not answer."""
        await self.database.ping()

    async def reseal(self) -> int:
        """Seal every row with the first sealing key; returns how many needed it."""
        return await reseal(self.database, self.sealer)

    async def close(self) -> None:
        await self.database.close()


def open_store(url: str, keys: Sequence[SealingKey], clock: Clock, *, given_time: bool = False) -> Store:
    """Open the database at `url` and bring its schema up to date. Blocks; call it before the event loop has work.

    `given_time` is for tests: on PostgreSQL too, what is due is told by the moments that are given, not by its clock.

    Raises `ConfigError` if the database is newer than this program, not Chaser's, or sealed with other keys,
    and `Unavailable` if it does not answer.
    """
    sealer = Sealer(keys)
    engines = connect(url)
    with ExitStack() as undo:
        undo.callback(engines.dispose)
        schema.prepare(engines)
        instance_id = transact(
            engines.writing, lambda connection: get_or_create(connection, sealer, clock.now())
        )
        undo.pop_all()
    database = Database(engines, given_time=given_time)
    return Store(
        database=database,
        sealer=sealer,
        instance_id=instance_id,
        jobs=Jobs(database, sealer, clock),
        logs=Logs(database),
        keys=Keys(database),
        inbox=Deliveries(database, sealer, clock),
        demands=DemandTable(database),
        runners=WardTable(database),
        renewals=RenewalTable(database, sealer, clock),
        screenings=ScreeningTables(database, sealer, clock),
        installations=InstallationTable(database),
        looks=LookTable(database),
        apps=AppTable(database, sealer),
        passes=PassTable(database),
        uploads=UploadTable(database),
        artifacts=ArtifactTable(database),
        retention=RetentionTables(database),
        workspaces=Workspaces(database),
        notices=notices_of(engines),
        tallies=Tallies(database, clock),
        passages=PassageTables(database),
        pulled_images=PulledImageTable(database),
    )
