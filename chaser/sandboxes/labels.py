"""How a container, or a volume, says whose it is."""

import re

from chaser.ids import SandboxId, SnapshotId, WorkspaceId

INSTANCE = "chaser.instance"
SANDBOX = "chaser.sandbox"

_VOLUME = re.compile(r"chaser-([0-9a-z]{26})(-own|-copy)?")


def container_name(sandbox: SandboxId) -> str:
    return "chaser-" + sandbox.removeprefix("sbx_")


def volume_name(kept: WorkspaceId | SnapshotId) -> str:
    """The volume of a workspace, or of a snapshot. They differ in the prefix of their ids alone: a snapshot can become
    a workspace, and its volume stays where it is."""
    return "chaser-" + kept.partition("_")[2]


def own_volume(sandbox: SandboxId) -> str:
    """A volume that goes with its sandbox."""
    return container_name(sandbox) + "-own"


def copy_volume(sandbox: SandboxId) -> str:
    """The overlay over a workspace whose changes are in the sandbox's own volume."""
    return container_name(sandbox) + "-copy"


def owners(volume: str) -> frozenset[str]:
    """The ids one of which a volume of that name belongs to; none: it is named otherwise than ours are."""
    found = _VOLUME.fullmatch(volume)
    if found is None:
        return frozenset()
    unique, part = found.groups()
    return frozenset({f"sbx_{unique}"}) if part else frozenset({f"wsp_{unique}", f"snp_{unique}"})
