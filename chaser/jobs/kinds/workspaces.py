"""The kinds that work on workspaces, all on the same parts."""

from chaser.clock import Clock
from chaser.jobs.deletion import Deletions
from chaser.jobs.kind import AnyKind
from chaser.jobs.kinds.workspace_bulk_delete import WorkspaceBulkDelete
from chaser.jobs.kinds.workspace_clone import WorkspaceClone
from chaser.jobs.kinds.workspace_delete import WorkspaceDelete
from chaser.jobs.kinds.workspace_remove import WorkspaceRemove
from chaser.jobs.kinds.workspace_restore import WorkspaceRestore
from chaser.jobs.kinds.workspace_snapshot import WorkspaceSnapshot
from chaser.jobs.kinds.workspace_write import WorkspaceWrite
from chaser.sandboxes.snapshots import Snapshots
from chaser.sandboxes.workspace_files import WorkspaceFiles
from chaser.sandboxes.workspaces import WorkspaceStore


def workspace_kinds(
    store: WorkspaceStore, files: WorkspaceFiles, snapshots: Snapshots, deletions: Deletions, clock: Clock
) -> tuple[AnyKind, ...]:
    return (
        WorkspaceDelete(store, deletions),
        WorkspaceBulkDelete(store, deletions),
        WorkspaceWrite(files),
        WorkspaceRemove(files),
        WorkspaceSnapshot(snapshots, clock),
        WorkspaceRestore(snapshots),
        WorkspaceClone(snapshots, clock),
    )
